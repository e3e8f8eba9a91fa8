// needs: rescale
/* MUL: the product of what two codes are above their zeros, brought to the output's scale. */
typedef struct {
  int32_t mantissa;                     /* for rescale */
  int8_t shift;
  int8_t first_zero, second_zero, zero; /* codes of zero */
  int8_t low, high;                     /* what the activation leaves of the codes */
} product_t;

/* An operand goes on by its step, 1, or stands still, 0. out may be an operand of step 1. */
static void multiply(const int8_t *first, int32_t first_step, const int8_t *second,
                     int32_t second_step, int32_t count, const product_t *numbers, int8_t *out) {
  const product_t p = *numbers;
  for (int32_t i = 0; i < count; i++) {
    const int32_t a = (int32_t)first[i * first_step] - p.first_zero;
    const int32_t b = (int32_t)second[i * second_step] - p.second_zero;
    out[i] = held_code(rescale(a * b, p.mantissa, p.shift) + p.zero, p.low, p.high);
  }
}
