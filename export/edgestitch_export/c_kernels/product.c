/* a * b / 2**31, halves up: a product of two numbers of which one has 31 bits behind its point.
 * SaturatingRoundingDoublingHighMul of gemmlowp without the square of -2**31, which never comes. */
static inline int32_t high_product(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + ((int32_t)1 << 30)) >> 31);
}
