/* ADD and SUB as one weighted sum, code = (first * a + second * b + offset) >> down, held between
 * low and high. No sum leaves 32 bits. That this gives the code of TensorFlow Lite's reference
 * kernels, which round five times, was tried on all 65,536 pairs when this file was written. */
typedef struct {
  int32_t first, second, offset;
  uint8_t down;
  int8_t low, high;
} weighted_sum_t;

/* An operand goes on by its step, 1, or stands still, 0. out may be an operand of step 1. */
static void weighted_sum(const int8_t *first, int32_t first_step, const int8_t *second,
                         int32_t second_step, int32_t count, const weighted_sum_t *numbers,
                         int8_t *out) {
  const weighted_sum_t s = *numbers;
  for (int32_t i = 0; i < count; i++) {
    const int32_t sum = s.first * first[i * first_step] + s.second * second[i * second_step];
    const int32_t code = (sum + s.offset) >> s.down;
    out[i] = (int8_t)(code < s.low ? s.low : code > s.high ? s.high : code);
  }
}
