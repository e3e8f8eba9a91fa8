// needs: rescale
/* ADD and SUB bring both operands, shifted up by 20 bits, to twice the larger of their scales, and
 * what comes of them to the output's. As the kernels of TensorFlow Lite do it. */
typedef struct {
  int32_t first_mantissa, second_mantissa, mantissa; /* for rescale */
  int8_t first_shift, second_shift, shift;           /* 0 or less */
  int8_t first_zero, second_zero, zero;              /* codes of zero */
  int8_t low, high;                                  /* what the activation leaves of the codes */
} sum_t;

static inline int32_t first_term(int32_t code, const sum_t *s) {
  return rescale((code - s->first_zero) * ((int32_t)1 << 20), s->first_mantissa, s->first_shift);
}

static inline int32_t second_term(int32_t code, const sum_t *s) {
  return rescale((code - s->second_zero) * ((int32_t)1 << 20), s->second_mantissa, s->second_shift);
}

static inline int8_t code_of_sum(int32_t sum, const sum_t *s) {
  return held_code(rescale(sum, s->mantissa, s->shift) + s->zero, s->low, s->high);
}
