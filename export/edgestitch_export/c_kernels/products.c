// needs: words scaling4 lanes
/* CONV_2D, a few pixels at a time: lay puts the codes that each of BLOCK pixels sees into lanes,
 * products multiplies them with the weights of the channels from first to end of the outputs. */
#if PATH_DSP
#define BLOCK 4
static void lay(lane_t *lanes, int32_t pixel, const int8_t *codes, int32_t inputs) {
  uint8_t *to = (uint8_t *)(lanes + 2 * pixel);
  for (const int8_t *end = codes + inputs; codes < end; codes += 4, to += 32) {
    uint32_t four = 0;
    if (end - codes >= 4) {
      four = word_at(codes);
    } else {
      for (int32_t i = 0; i < end - codes; i++) four |= (uint32_t)(uint8_t)codes[i] << (8 * i);
    }
    const uint32_t even = four << 8 & 0xff00ff00u, odd = four & 0xff00ff00u;
    __builtin_memcpy(to, &even, sizeof even);
    __builtin_memcpy(to + 16, &odd, sizeof odd);
  }
}

/* Adds the products of four weights with the lanes of four pixels to four sums; both go on. */
#define PRODUCTS_OF_4                     \
  "ldr %[word], [%[at]], #4\n\t"       \
  "ldmia %[x]!, {r8, r9, r10, r11}\n\t"    \
  "sxtb16 %[even], %[word]\n\t"             \
  "smlad %[a], %[even], r8, %[a]\n\t"    \
  "smlad %[b], %[even], r9, %[b]\n\t"    \
  "smlad %[c], %[even], r10, %[c]\n\t"    \
  "smlad %[d], %[even], r11, %[d]\n\t"    \
  "ldmia %[x]!, {r8, r9, r10, r11}\n\t"    \
  "sxtb16 %[word], %[word], ror #8\n\t"        \
  "smlad %[a], %[word], r8, %[a]\n\t"       \
  "smlad %[b], %[word], r9, %[b]\n\t"       \
  "smlad %[c], %[word], r10, %[c]\n\t"       \
  "smlad %[d], %[word], r11, %[d]\n\t"

static void products(const lane_t *lanes, int32_t inputs, const int8_t *weights, int32_t first,
                     int32_t end, const scalings_t *scalings, int8_t *out, int32_t outputs,
                     int32_t pixels) {
  for (int32_t k = first; k < end; k++, weights += inputs) {
    const int8_t *w = weights, *last = weights + inputs;
    const lane_t *x = lanes;
    uint32_t word, even;
    int32_t a = 0, b = 0, c = 0, d = 0;
    if ((inputs + 3) & 4) { /* an odd number of groups of four */
      __asm__ volatile(PRODUCTS_OF_4
                       : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x),
                         [at] "+r"(w), [word] "=&r"(word), [even] "=&r"(even)
                       :
                       : "r8", "r9", "r10", "r11", "memory");
    }
    while (w < last) {
      __asm__ volatile(PRODUCTS_OF_4 PRODUCTS_OF_4
                       : [a] "+r"(a), [b] "+r"(b), [c] "+r"(c), [d] "+r"(d), [x] "+r"(x),
                         [at] "+r"(w), [word] "=&r"(word), [even] "=&r"(even)
                       :
                       : "r8", "r9", "r10", "r11", "memory");
    }
    const scaling_t by = scaling_of(scalings, k);
    const int32_t sums[BLOCK] = {a, b, c, d};
    for (int32_t p = 0; p < pixels; p++) {
      out[p * outputs + k] = code_of(sums[p], by, scalings, LANE_SHIFT);
    }
  }
}
#elif PATH_MVE
#define BLOCK 6
/* Pixels three by three: 16 codes of each, then the next 16 of each. */
static void lay(lane_t *lanes, int32_t pixel, const int8_t *codes, int32_t inputs) {
  const int32_t three = pixel >= 3;
  lanes += three * 3 * ((inputs + 15) & ~15) + (pixel - 3 * three) * 16;
  for (; inputs > 0; inputs -= 16, codes += 16, lanes += 48) {
    vstrbq_s8(lanes, vldrbq_z_s8(codes, vctp8q((uint32_t)inputs)));
  }
}

/* The sums of two outputs at three pixels, four places apart, of groups of 16 inputs. */
static inline void six_sums(const lane_t *x, const int8_t *w, const int8_t *v, int32_t groups,
                            int32_t *sums) {
  int32_t a = 0, b = 0, c = 0, d = 0, e = 0, f = 0;
  __asm__ volatile(
      "dls lr, %[groups]\n"
      "1:\n\t"
      "vldrb.8 q1, [%[x], #16]\n\t"
      "vldrb.8 q3, [%[w]], #16\n\t"
      "vldrb.8 q2, [%[x], #32]\n\t"
      "vmladava.s8 %[c], q3, q1\n\t"
      "vldrb.8 q0, [%[x]], #48\n\t"
      "vmladava.s8 %[e], q3, q2\n\t"
      "vldrb.8 q4, [%[v]], #16\n\t"
      "vmladava.s8 %[a], q3, q0\n\t"
      "vmladava.s8 %[b], q4, q0\n\t"
      "vmladava.s8 %[d], q4, q1\n\t"
      "vmladava.s8 %[f], q4, q2\n\t"
      "le lr, 1b"
      : [a] "+Te"(a), [b] "+Te"(b), [c] "+Te"(c), [d] "+Te"(d), [e] "+Te"(e), [f] "+Te"(f),
        [x] "+r"(x), [w] "+r"(w), [v] "+r"(v)
      : [groups] "r"(groups)
      : "q0", "q1", "q2", "q3", "q4", "lr", "memory");
  sums[0] = a, sums[1] = b, sums[4] = c, sums[5] = d, sums[8] = e, sums[9] = f;
}

static void products(const lane_t *lanes, int32_t inputs, const int8_t *weights, int32_t first,
                     int32_t end, const scalings_t *scalings, int8_t *out, int32_t outputs,
                     int32_t pixels) {
  const int32_t groups = (inputs + 15) >> 4;
  int32_t k = first;
  for (; k + 4 <= end; k += 4, weights += 4 * inputs) {
    const scaling4_t by = scaling4_of(scalings, k);
    const int8_t *const weights_2 = weights + 2 * inputs;
    const lane_t *x = lanes;
    int8_t *to = out + k;
    for (int32_t p = pixels; p > 0; p -= 3, x += 48 * groups) {
      int32_t sums[12];
      six_sums(x, weights, weights + inputs, groups, sums);
      six_sums(x, weights_2, weights_2 + inputs, groups, sums + 2);
      for (int32_t q = 0; q < 3 && q < p; q++, to += outputs) {
        vstrbq_s32(to, codes_of(vldrwq_s32(sums + 4 * q), by, scalings));
      }
    }
  }
  for (int32_t rest = (end - first) & 3; rest > 0; rest--, k++, weights += inputs) {
    const scaling_t by = scaling_of(scalings, k);
    for (int32_t p = 0; p < pixels; p += 3) {
      int32_t sums[12];
      six_sums(lanes + p * groups * 16, weights, weights, groups, sums);
      for (int32_t q = 0; q < 3 && p + q < pixels; q++) {
        out[(p + q) * outputs + k] = code_of(sums[4 * q], by, scalings, 0);
      }
    }
  }
}
#else
#define BLOCK 4
/* Here a lane is an int16: compilers have instructions for the sum of their products. */
static void lay(lane_t *lanes, int32_t pixel, const int8_t *codes, int32_t inputs) {
  wide_t *to = (wide_t *)(void *)lanes + pixel * inputs;
  for (int32_t i = 0; i < inputs; i++) to[i] = codes[i];
}

static void products(const lane_t *lanes, int32_t inputs, const int8_t *weights, int32_t first,
                     int32_t end, const scalings_t *scalings, int8_t *out, int32_t outputs,
                     int32_t pixels) {
  const wide_t *x = (const wide_t *)(const void *)lanes, *y = x + inputs;
  const wide_t *z = y + inputs, *v = z + inputs;
  for (int32_t k = first; k < end; k++, weights += inputs) {
    int32_t sums[BLOCK] = {0, 0, 0, 0};
    for (int32_t i = 0; i < inputs; i++) {
      const int16_t w = weights[i];
      sums[0] += (int32_t)x[i] * w, sums[1] += (int32_t)y[i] * w;
      sums[2] += (int32_t)z[i] * w, sums[3] += (int32_t)v[i] * w;
    }
    const scaling_t by = scaling_of(scalings, k);
    for (int32_t p = 0; p < pixels; p++) {
      out[p * outputs + k] = code_of(sums[p], by, scalings, 0);
    }
  }
}
#endif
