// needs: product
/* value * mantissa / 2**31 * 2**shift, rounded twice: halves up, then halves away from zero.
 * mantissa is 0 or more; shift is -31 to 30, and where it is above 0, value << shift fits 32 bits.
 * MultiplyByQuantizedMultiplier of TensorFlow Lite. */
static inline int32_t rescale(int32_t value, int32_t mantissa, int32_t shift) {
  if (shift > 0) return high_product((int32_t)((uint32_t)value << shift), mantissa);
  const int32_t product = high_product(value, mantissa);
  const int32_t lost = product & (int32_t)(((uint32_t)1 << -shift) - 1);
  const int32_t half = (int32_t)(((uint32_t)1 << -shift) >> 1) + (product < 0);
  return (product >> -shift) + (shift < 0 && lost >= half);
}

/* A code, held between low and high. */
static inline int8_t held_code(int32_t value, int32_t low, int32_t high) {
  return (int8_t)(value < low ? low : value > high ? high : value);
}
