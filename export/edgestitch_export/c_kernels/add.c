// needs: sum
/* ADD. An operand goes on by its step, 1, or stands still, 0. out may be an operand of step 1. */
static void add(const int8_t *first, int32_t first_step, const int8_t *second, int32_t second_step,
                int32_t count, const sum_t *numbers, int8_t *out) {
  const sum_t s = *numbers;
  for (int32_t i = 0; i < count; i++) {
    const int32_t a = first_term(first[i * first_step], &s);
    const int32_t b = second_term(second[i * second_step], &s);
    out[i] = code_of_sum(a + b, &s);
  }
}
