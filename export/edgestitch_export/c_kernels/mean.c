// needs: rescale
/* MEAN of count rows of codes, for each of several blocks of rows. */
typedef struct {
  int32_t offset;   /* takes the zeros of all codes off their sum */
  int32_t mantissa; /* for rescale; one over the count is in it */
  int8_t shift;
  int8_t zero;      /* the output's code of zero */
} mean_t;

/* A block is count rows of length codes, and gives one row. out may be in. QuantizedMeanOrSum of
 * TensorFlow Lite. */
static void mean(const int8_t *in, int32_t blocks, int32_t count, int32_t length, const mean_t *m,
                 int8_t *out) {
  for (; blocks > 0; blocks--, in += count * length) {
    for (int32_t k = 0; k < length; k++) {
      int32_t sum = m->offset;
      for (int32_t i = 0; i < count; i++) sum += in[i * length + k];
      *out++ = held_code(rescale(sum, m->mantissa, m->shift) + m->zero, -128, 127);
    }
  }
}
