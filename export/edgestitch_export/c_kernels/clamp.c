/* Holds codes between low and high: a fused activation, where that is less than a code holds. */
static void clamp(int8_t *codes, int32_t count, int32_t low, int32_t high) {
  for (int32_t i = 0; i < count; i++) {
    const int32_t code = codes[i];
    codes[i] = (int8_t)(code < low ? low : code > high ? high : code);
  }
}
