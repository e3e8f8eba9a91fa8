/* Pixels, 0..255, as the model's codes, which are 128 less. */
static void codes_of_pixels(const uint8_t *pixels, int32_t count, int8_t *out) {
  for (int32_t i = 0; i < count; i++) out[i] = (int8_t)(pixels[i] ^ 0x80u);
}
