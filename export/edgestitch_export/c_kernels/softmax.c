// needs: product
/* SOFTMAX in 32-bit fixed point, as TensorFlow Lite and gemmlowp compute it: exponentials with 31
 * bits behind the point, the reciprocal of their sum by Newton's method, shares in 256ths. */
typedef struct {
  int32_t mantissa, unit; /* a step of the input is unit * mantissa / 2**31, in 2**-26 */
  int16_t reach;          /* from so many steps below the top on, a code counts for nothing */
} softmax_t;

/* exp of so many steps below 0, with 31 bits behind the point: a polynomial around -1/8 for what is
 * beyond a multiple of a quarter, then a factor for each bit of that multiple. steps are 0 to 255.
 * exp_on_negative_values of gemmlowp. */
static int32_t exponential(int32_t steps, const softmax_t *s) {
  /* exp of -1/4, -1/2, -1, -2, -4 and -8 */
  static const int32_t factors[6] = {1672461947, 1302514674, 790015084,
                                     290630308,  39332535,   720401};
  const int32_t quarter = (int32_t)1 << 24, at_middle = 1895147668, third = 715827883;
  if (steps == 0) return INT32_MAX;
  if (steps >= s->reach) return 0;
  const int32_t argument = high_product(-(steps * s->unit), s->mantissa);
  const int32_t part = (argument & (quarter - 1)) - quarter; /* -1/4 or more, below 0 */
  const int32_t x = part * 32 + ((int32_t)1 << 28);
  const int32_t x2 = high_product(x, x);
  const int32_t x3 = high_product(x2, x);
  const int32_t x4 = high_product(x2, x2);
  const int32_t tail = high_product(((x4 + 2) >> 2) + x3, third) + x2; /* 0 or more */
  int32_t found = at_middle + high_product(x + ((tail + 1) >> 1), at_middle);
  const int32_t *factor = factors;
  for (int32_t multiple = (part - argument) >> 24; multiple > 0; multiple >>= 1, factor++) {
    if (multiple & 1) found = high_product(found, *factor);
  }
  return found;
}

/* exponentials is room for those of one row. out may be in. */
static void softmax(const int8_t *in, int32_t rows, int32_t classes, const softmax_t *s,
                    int32_t *exponentials, int8_t *out) {
  for (; rows > 0; rows--, in += classes, out += classes) {
    int32_t top_code = in[0], sum = 0;
    for (int32_t k = 1; k < classes; k++) {
      if (in[k] > top_code) top_code = in[k];
    }
    for (int32_t k = 0; k < classes; k++) {
      exponentials[k] = exponential(top_code - in[k], s);
      sum += ((exponentials[k] >> 11) + 1) >> 1;
    }
    /* One over the sum, which has 19 bits behind the point: half is it as a number of 1/2 to 1, x
     * approaches 1 / half with 29 bits. */
    int32_t half = sum, shift = 34;
    for (; half < ((int32_t)1 << 30); half *= 2) shift--;
    int32_t x = 1515870810 + high_product(half, -1010580540); /* 48/17 - 32/17 * half */
    for (int32_t round = 0; round < 3; round++) {
      x += high_product(x, ((int32_t)1 << 29) - high_product(half, x)) * 4;
    }
    const int32_t inverse = x < ((int32_t)1 << 30) ? x * 2 : INT32_MAX;
    if (shift > 32) shift = 32; /* shifted so far, all shares are 0 already */
    for (int32_t k = 0; k < classes; k++) {
      const int32_t share = ((high_product(exponentials[k], inverse) >> (shift - 1)) + 1) >> 1;
      out[k] = (int8_t)((share > 255 ? 255 : share) - 128);
    }
  }
}
