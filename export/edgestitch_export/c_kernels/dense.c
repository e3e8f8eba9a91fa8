// needs: words scaling
/* FULLY_CONNECTED: out[k] is the code of the sum of in[i] * weights[k][i] over the inputs.
 *
 * The weights lie in blocks of 16 inputs: of four outputs, one after another, 16 weights each,
 * then the next 16 of each, up to the last inputs, which zeros fill up to 16. Then the next four
 * outputs; what is left of them after the last four has its weights one output after another.
 *
 * flip is 0x80 where in are pixels, 0..255, of which the codes are 128 less; else 0. in and out do
 * not overlap. */
#if PATH_MVE
/* Adds the products of 16 inputs to each of four sums. */
#define FOUR_ROWS(x, w)                        \
  s0 = vmladavaq_s8(s0, x, vldrbq_s8(w));      \
  s1 = vmladavaq_s8(s1, x, vldrbq_s8(w + 16)); \
  s2 = vmladavaq_s8(s2, x, vldrbq_s8(w + 32)); \
  s3 = vmladavaq_s8(s3, x, vldrbq_s8(w + 48));

static void dense(const uint8_t *in, uint32_t flip, int32_t inputs, const int8_t *weights,
                  int32_t outputs, const scalings_t *scalings, int8_t *out) {
  const uint8x16_t flips = vdupq_n_u8((uint8_t)flip);
  const mve_pred16_t rest = vctp8q((uint32_t)(inputs & 15));
  int32_t k = 0;
  while (k < outputs) {
    const uint8_t *x = in;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    if (outputs - k >= 4) {
      for (int32_t n = inputs >> 4; n > 0; n--, x += 16, weights += 64) {
        const int8x16_t some = vreinterpretq_s8_u8(veorq_u8(vldrbq_u8(x), flips));
        FOUR_ROWS(some, weights)
      }
      if (inputs & 15) {
        const int8x16_t some = vreinterpretq_s8_u8(veorq_u8(vldrbq_z_u8(x, rest), flips));
        FOUR_ROWS(some, weights)
        weights += 64;
      }
      const int32_t sums[4] = {s0, s1, s2, s3};
      for (int32_t r = 0; r < 4; r++, k++) {
        out[k] = code_of(sums[r], scaling_of(scalings, k), scalings, 0);
      }
    } else {
      for (int32_t n = inputs; n > 0; n -= 16, x += 16, weights += 16) {
        const uint8x16_t some = veorq_u8(vldrbq_z_u8(x, vctp8q((uint32_t)n)), flips);
        s0 = vmladavaq_s8(s0, vreinterpretq_s8_u8(some), vldrbq_s8(weights));
      }
      out[k] = code_of(s0, scaling_of(scalings, k), scalings, 0);
      k++;
    }
  }
}
#elif PATH_DSP
/* The products of four inputs, which are laid out in two pairs, with a word of weights. */
static inline int32_t four_products(int32_t sum, int16x2_t even, int16x2_t odd, uint32_t word) {
  return __smlad(odd, odd_of(word), __smlad(even, even_of(word), sum));
}

/* One row's products of eight inputs, which r4 to r7 hold as pairs: two words of weights at r3. */
#define ROW(sum, at)                             \
  "ldrd r1, r2, [r3, #" at "]\n\t"               \
  "sxtb16 r12, r1\n\t"                          \
  "smlad " sum ", r12, r4, " sum "\n\t"         \
  "sxtb16 r1, r1, ror #8\n\t"                   \
  "smlad " sum ", r1, r5, " sum "\n\t"          \
  "sxtb16 r1, r2\n\t"                           \
  "smlad " sum ", r1, r6, " sum "\n\t"          \
  "sxtb16 r2, r2, ror #8\n\t"                   \
  "smlad " sum ", r2, r7, " sum "\n\t"
#define EIGHT_INPUTS           \
  "ldr r5, [r0], #4\n\t"       \
  "ldr r7, [r0], #4\n\t"       \
  "eor r5, lr\n\t"             \
  "eor r7, lr\n\t"             \
  "sxtb16 r4, r5\n\t"          \
  "sxtb16 r5, r5, ror #8\n\t"  \
  "sxtb16 r6, r7\n\t"          \
  "sxtb16 r7, r7, ror #8\n\t"  \
  ROW("r8", "0") ROW("r9", "16") ROW("r10", "32") ROW("r11", "48")

/* Adds to four sums the products of the inputs at x with the weights from w up to end: a whole
 * number of blocks, at least one. Written out, since it takes every register that there is. */
__attribute__((naked, noinline)) static void four_rows(
    __attribute__((unused)) const uint8_t *x, __attribute__((unused)) uint32_t flips,
    __attribute__((unused)) int32_t sums[4], __attribute__((unused)) const word_t *w,
    __attribute__((unused)) const word_t *end) {
  __asm__ volatile(
      "push {r2, r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\t"
      "mov lr, r1\n\t"
      "ldm r2, {r8, r9, r10, r11}\n"
      "1:\n\t" EIGHT_INPUTS "add r3, #8\n\t" EIGHT_INPUTS "add r3, #56\n\t"
      "ldr r1, [sp, #40]\n\t"
      "cmp r3, r1\n\t"
      "bne 1b\n\t"
      "pop {r2}\n\t"
      "stm r2, {r8, r9, r10, r11}\n\t"
      "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}");
}

static int32_t one_row(const uint8_t *x, int32_t blocks, uint32_t flips, const word_t *w,
                       int32_t sum) {
  for (const word_t *end = w + 4 * blocks; w != end; x += 4, w++) {
    const uint32_t a = word_at(x) ^ flips;
    sum = four_products(sum, even_of(a), odd_of(a), *w);
  }
  return sum;
}

static void dense(const uint8_t *in, uint32_t flip, int32_t inputs, const int8_t *weights,
                  int32_t outputs, const scalings_t *scalings, int8_t *out) {
  const uint32_t flips = flip * 0x01010101u;
  const int32_t blocks = inputs >> 4, rest = inputs & 15;
  const word_t *w = (const word_t *)(const void *)weights;
  uint8_t last[16] = {0};
  for (int32_t i = 0; i < rest; i++) last[i] = in[16 * blocks + i];
  int32_t k = 0;
  while (k < outputs) {
    const int32_t rows = outputs - k >= 4 ? 4 : 1;
    int32_t sums[4] = {0, 0, 0, 0};
    if (rows == 4) {
      if (blocks) four_rows(in, flips, sums, w, w + 16 * blocks);
      w += 16 * blocks;
      if (rest) {
        four_rows(last, flips, sums, w, w + 16);
        w += 16;
      }
    } else {
      sums[0] = one_row(in, blocks, flips, w, 0);
      w += 4 * blocks;
      if (rest) {
        sums[0] = one_row(last, 1, flips, w, sums[0]);
        w += 4;
      }
    }
    for (int32_t r = 0; r < rows; r++, k++) {
      out[k] = code_of(sums[r], scaling_of(scalings, k), scalings, 0);
    }
  }
}
#else
static void dense(const uint8_t *in, uint32_t flip, int32_t inputs, const int8_t *weights,
                  int32_t outputs, const scalings_t *scalings, int8_t *out) {
  int32_t k = 0;
  while (k < outputs) {
    const int32_t rows = outputs - k >= 4 ? 4 : 1;
    int32_t sums[4] = {0, 0, 0, 0};
    for (int32_t i = 0; i < inputs; i += 16) {
      const int32_t some = inputs - i < 16 ? inputs - i : 16;
      for (int32_t r = 0; r < rows; r++, weights += 16) {
        int32_t sum = 0;
        for (int32_t j = 0; j < some; j++) sum += (int8_t)(in[i + j] ^ flip) * weights[j];
        sums[r] += sum;
      }
    }
    for (int32_t r = 0; r < rows; r++, k++) {
      out[k] = code_of(sums[r], scaling_of(scalings, k), scalings, 0);
    }
  }
}
#endif
