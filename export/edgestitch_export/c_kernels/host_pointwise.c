// needs: host_line host_vectors
/* CONV_2D of 1x1, HOST_PIXELS at a time, eight outputs at a time. */
#if HOST_BYTES == 32
#define HOST_PIXELS 8
#else
#define HOST_PIXELS 4
#endif
#define HOST_VECTORS (32 / HOST_BYTES) /* that hold eight sums */
#ifdef __clang__ /* so that sums stay in registers */
#define HOST_UNROLLED _Pragma("clang loop unroll(full)")
#else
#define HOST_UNROLLED _Pragma("GCC unroll 8")
#endif

/* Two codes side by side, again and again. */
static inline host_int16_t host_pair(const int16_t *from) {
  int32_t pair;
  memcpy(&pair, from, sizeof pair);
  return (host_int16_t)((host_int32_t){0} + pair);
}

/* Adds to sums the products of four codes a pixel, x and y, with weights of each output, v and w. The
 * sum of two products fits 16 bits. */
#if defined(__clang__) && defined(__SSE2__)
/* x86 has an instruction for two products and their sum. clang finds it where it does not know what is
 * multiplied, or what is done with the sum. */
#if HOST_BYTES == 32
#define HOST_EACH(a, k) \
  __builtin_shufflevector(a, a, k, 2 + k, 4 + k, 6 + k, 8 + k, 10 + k, 12 + k, 14 + k)
#else
#define HOST_EACH(a, k) __builtin_shufflevector(a, a, k, 2 + k, 4 + k, 6 + k)
#endif
#define HOST_WIDE_EACH(a, k) __builtin_convertvector(HOST_EACH(a, k), host_int32_t)
static inline host_int32_t host_two(host_int16_t x, host_int16_t w) {
  __asm__("" : "+x"(x), "+x"(w));
  host_int32_t found = HOST_WIDE_EACH(x, 0) * HOST_WIDE_EACH(w, 0) +
                       HOST_WIDE_EACH(x, 1) * HOST_WIDE_EACH(w, 1);
  __asm__("" : "+x"(found));
  return found;
}

static inline host_int32_t host_products(host_int32_t sums, host_int16_t x, host_int16_t v,
                                         host_int16_t y, host_int16_t w) {
  return sums + host_two(x, v) + host_two(y, w);
}
#else
static inline host_int32_t host_products(host_int32_t sums, host_int16_t x, host_int16_t v,
                                         host_int16_t y, host_int16_t w) {
  const host_int16_t both = x * v + y * w;
  return sums + HOST_EVEN(both) + HOST_ODD(both);
}
#endif

/* inputs are a whole number of four, of which count are there; likewise outputs of eight, and there.
 * weights are int16: of eight outputs those of two inputs side by side, then of the next two. */
static void host_pointwise(const int8_t *restrict in, int32_t pixels, int32_t count, int32_t inputs,
                           const int16_t *restrict weights, int32_t outputs, int32_t there,
                           const host_line_t *line, int16_t *restrict codes,
                           int32_t *restrict sums, int8_t *restrict out) {
  const int32_t row = (outputs + 15) & ~15;
  for (int32_t i = 0; i < HOST_PIXELS * inputs; i++) codes[i] = 0;
  for (; pixels > 0; pixels -= HOST_PIXELS) {
    const int32_t some = pixels < HOST_PIXELS ? pixels : HOST_PIXELS;
    for (int32_t p = 0; p < some; p++, in += count) {
      for (int32_t i = 0; i < count; i++) codes[p * inputs + i] = in[i];
    }
    const int16_t *w = weights;
    for (int32_t k = 0; k < outputs; k += 8) {
      host_int32_t s[HOST_PIXELS][HOST_VECTORS] = {{{0}}};
      for (int32_t i = 0; i < inputs; i += 4, w += 32) {
        HOST_UNROLLED for (int32_t v = 0; v < HOST_VECTORS; v++) {
          const host_int16_t first = host_vector(w + v * HOST_BYTES / 2);
          const host_int16_t second = host_vector(w + 16 + v * HOST_BYTES / 2);
          HOST_UNROLLED for (int32_t p = 0; p < HOST_PIXELS; p++) {
            const int16_t *x = codes + p * inputs + i;
            s[p][v] = host_products(s[p][v], host_pair(x), first, host_pair(x + 2), second);
          }
        }
      }
      for (int32_t p = 0; p < HOST_PIXELS; p++) memcpy(sums + p * row + k, s[p], sizeof s[p]);
    }
    for (int32_t p = 0; p < some; p++, out += there) host_codes(sums + p * row, there, line, out);
  }
}
