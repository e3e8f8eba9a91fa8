// needs: words scaling4 planes
#if PATH_MVE
//@ if line
/* What slide_rows works on, each field four bytes: the offsets below are of these. */
typedef struct {
  const lane_t *in;
  int32_t next_row;  /* from the last tap of a row of the window to the first of its next */
  int32_t next_four; /* from the last tap of all to the first of the next four outputs */
  int8_t *out;
  int32_t weights[9]; /* shifted up */
  int32_t multiplier, offset, down, step, stride, in_row, out_row, rows, columns;
} slide_rows_t;

/* Three taps of a row: beside one another, or stride apart, where the loads have offsets in q7. */
#define TAP(from, multiply, weight) "vldrb.s32 q1, " from "\n\t" multiply "q1, " weight "\n\t"
#define ROW_BESIDE(first, w0, w1, w2)                                  \
  TAP("[r0]", first, w0) TAP("[r0, #1]", "vmla.s32 q0, ", w1)          \
  TAP("[r0, #2]", "vmla.s32 q0, ", w2)
#define ROW_APART(first, w0, w1, w2)                                   \
  TAP("[r0, q7]", first, w0) "adds r0, #1\n\t"                         \
  TAP("[r0, q7]", "vmla.s32 q0, ", w1) "adds r0, #1\n\t"               \
  TAP("[r0, q7]", "vmla.s32 q0, ", w2)
#define NINE_TAPS(row)                                                 \
  row("vmul.i32 q0, ", "r4", "r5", "r6") "add r0, r1\n\t"              \
  row("vmla.s32 q0, ", "r7", "r8", "r9") "add r0, r1\n\t"              \
  row("vmla.s32 q0, ", "r10", "r11", "r12") "add r0, r2\n\t"

/* Nine weights, four outputs at a time. Written out, since it takes every register there is. */
#define SLIDE_ROWS(name, row)                                                             \
  __attribute__((naked, noinline)) static void name(                                     \
      __attribute__((unused)) const slide_rows_t *job) {                                 \
    __asm__ volatile(                                                                    \
        "push {r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}\n\t"                           \
        "vpush {d8-d15}\n\t"                                                             \
        "sub sp, #24\n\t" /* four offsets of outputs, rows left, job */                  \
        "str r0, [sp, #20]\n\t"                                                          \
        "ldr r1, [r0, #80]\n\t"                                                          \
        "str r1, [sp, #16]\n\t"                                                          \
        "movs r2, #0\n\t"                                                                \
        "vidup.u32 q6, r2, #1\n\t"                                                       \
        "ldr r1, [r0, #68]\n\t"                                                          \
        "vmul.i32 q7, q6, r1\n\t"                                                        \
        "ldr r1, [r0, #64]\n\t"                                                          \
        "vmul.i32 q6, q6, r1\n\t"                                                        \
        "vstrw.32 q6, [sp]\n\t"                                                          \
        "lsls r1, #2\n\t"                                                                \
        "vdup.32 q4, r1\n\t"                                                             \
        "ldr r1, [r0, #52]\n\t"                                                          \
        "vdup.32 q2, r1\n\t"                                                             \
        "ldr r1, [r0, #56]\n\t"                                                          \
        "vdup.32 q3, r1\n\t"                                                             \
        "ldr r1, [r0, #60]\n\t"                                                          \
        "vdup.32 q5, r1\n\t"                                                             \
        "add lr, r0, #16\n\t"                                                            \
        "ldm lr, {r4, r5, r6, r7, r8, r9, r10, r11, r12}\n\t"                            \
        "ldr r3, [r0, #12]\n\t"                                                          \
        "ldrd r1, r2, [r0, #4]\n\t"                                                      \
        "ldr r0, [r0]\n"                                                                 \
        "1:\n\t"                                                                         \
        "vldrw.u32 q6, [sp]\n\t"                                                         \
        "ldr lr, [sp, #20]\n\t"                                                          \
        "ldr lr, [lr, #84]\n\t"                                                          \
        "dlstp.32 lr, lr\n"                                                              \
        "2:\n\t" NINE_TAPS(row)                                                          \
        "vmulh.s32 q0, q0, q2\n\t"                                                       \
        "vadd.i32 q0, q0, q3\n\t"                                                        \
        "vshl.s32 q0, q0, q5\n\t"                                                        \
        "vqmovnb.s32 q0, q0\n\t"                                                         \
        "vqmovnb.s16 q0, q0\n\t"                                                         \
        "vstrb.32 q0, [r3, q6]\n\t"                                                      \
        "vadd.i32 q6, q6, q4\n\t"                                                        \
        "letp lr, 2b\n\t"                                                                \
        "ldr lr, [sp, #20]\n\t"                                                          \
        "ldr lr, [lr, #72]\n\t"                                                          \
        "add r0, lr\n\t"                                                                 \
        "ldr lr, [sp, #20]\n\t"                                                          \
        "ldr lr, [lr, #76]\n\t"                                                          \
        "add r3, lr\n\t"                                                                 \
        "ldr lr, [sp, #16]\n\t"                                                          \
        "subs lr, #1\n\t"                                                                \
        "str lr, [sp, #16]\n\t"                                                          \
        "bne 1b\n\t"                                                                     \
        "add sp, #24\n\t"                                                                \
        "vpop {d8-d15}\n\t"                                                              \
        "pop {r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}");                              \
  }
SLIDE_ROWS(slide_rows_beside, ROW_BESIDE)
SLIDE_ROWS(slide_rows_apart, ROW_APART)
//@ end
//@ if twice

static void slide3_plain(const lane_t *tile, const plane_t *p, int32_t k, int8_t *out, int32_t step,
                        int32_t row_step) {
  const scaling_t by = scaling_of(&p->scalings, k);
  const int8_t *weights = p->weights + 9 * k;
  const uint32x4_t apart = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)step);
  const uint32x4_t across = vmulq_n_u32(vidupq_n_u32(0, 1), (uint32_t)p->stride_width);
  const scaling4_t four = scaling4_alike(by);
  for (int32_t y = 0; y < p->out_height; y++, out += row_step) {
    const lane_t *in = tile + y * p->stride_height * p->full_width;
    int8_t *to = out;
    for (int32_t left = p->out_width; left > 0; left -= 4) {
      int32x4_t sums = vdupq_n_s32(0);
      for (int32_t i = 0; i < 9; i++) {
        const lane_t *tap = in + i / 3 * p->full_width + i % 3;
        sums = vmlaq_n_s32(sums, vldrbq_gather_offset_s32(tap, across), weights[i]);
      }
      vstrbq_scatter_offset_p_s32(to, apart, codes_of(sums, four, &p->scalings),
                                  vctp32q((uint32_t)left));
      in += 4 * p->stride_width, to += 4 * step;
    }
  }
}
//@ end
#endif
//@ if twice
#if !PATH_MVE
//@ end
//@ unless twice
#if !PATH_MVE && !PATH_DSP
//@ end
static void slide3_plain(const lane_t *tile, const plane_t *p, int32_t k, int8_t *out, int32_t step,
                        int32_t row_step) {
  const scaling_t by = scaling_of(&p->scalings, k);
  const int8_t *weights = p->weights + 9 * k;
  const int32_t width = p->full_width, stride = p->stride_width;
  for (int32_t y = 0; y < p->out_height; y++, out += row_step) {
    const lane_t *in = tile + y * p->stride_height * width;
    int8_t *to = out;
    for (int32_t x = p->out_width; x > 0; x--, in += stride, to += step) {
      const lane_t *next = in + width, *last = next + width;
      int32_t sum = (int32_t)in[0] * weights[0] + (int32_t)in[1] * weights[1];
      sum += (int32_t)in[2] * weights[2] + (int32_t)next[0] * weights[3];
      sum += (int32_t)next[1] * weights[4] + (int32_t)next[2] * weights[5];
      sum += (int32_t)last[0] * weights[6] + (int32_t)last[1] * weights[7];
      sum += (int32_t)last[2] * weights[8];
      *to = code_of(sum, by, &p->scalings, LANE_SHIFT);
    }
  }
}
#endif
//@ if line
#if PATH_DSP

/* What slide_rows works on, each field four bytes: the offsets below are of these. Distances in
 * the tile are in bytes. */
typedef struct {
  const lane_t *in;
  int32_t row;
  int8_t *out;
  int32_t step, columns, next_in, next_out, rows;
  uint32_t pair0, pair1, pair2, thirds, ninth; /* weights, shifted up */
  int32_t multiplier, offset, down, stride;
} slide_rows_t;

/* One row of the window: two taps and a third, which lies third bytes behind what is next. */
#define ROW_OF_TAPS(in, first, weights, pick, w, next, third)   \
  "ldr r10, [" in "], #" next "\n\t" first " r9, r10, " weights \
  "ldrsh r10, [" in ", #" third "]\n\t"                         \
  "smlab" pick " r9, r10, " w ", r9\n\t"

/* Of one output: the sum in r9, its code to out. next is how far the window moves. */
#define NINE_TAPS(next, third)                                      \
  ROW_OF_TAPS("r0", "smuad", "r4\n\t", "b", "r7", next, third)      \
  ROW_OF_TAPS("r1", "smlad", "r5, r9\n\t", "t", "r7", next, third)  \
  ROW_OF_TAPS("r2", "smlad", "r6, r9\n\t", "b", "r8", next, third)  \
  "smmla r9, r9, r11, r12\n\t"                                      \
  "asr r9, lr\n\t"                                                  \
  "ssat r9, #8, r9\n\t"                                             \
  "strb r9, [r3]\n\t"                                               \
  "ldrd r9, r10, [sp]\n\t"                                          \
  "add r3, r9\n\t"                                                  \
  "cmp r3, r10\n\t"

/* Written out, since it takes every register there is. */
__attribute__((naked, noinline)) static void slide_rows(
    __attribute__((unused)) const slide_rows_t *job) {
  __asm__ volatile(
      "push {r4, r5, r6, r7, r8, r9, r10, r11, lr}\n\t"
      "sub sp, #16\n\t" /* step, end of the row, rows left, job */
      "str r0, [sp, #12]\n\t"
      "ldr r3, [r0, #12]\n\t"
      "str r3, [sp]\n\t"
      "ldr r3, [r0, #28]\n\t"
      "str r3, [sp, #8]\n\t"
      "add r3, r0, #32\n\t"
      "ldm r3, {r4, r5, r6, r7, r8, r11, r12, lr}\n\t"
      "ldrd r1, r3, [r0, #4]\n\t"
      "ldr r0, [r0]\n\t"
      "add r2, r0, r1, lsl #1\n\t"
      "add r1, r0\n"
      "1:\n\t"
      "ldr r10, [sp, #12]\n\t"
      "ldr r9, [r10, #16]\n\t"
      "ldr r10, [r10, #64]\n\t"
      "add r9, r3\n\t"
      "str r9, [sp, #4]\n\t"
      "cmp r10, #1\n\t"
      "bne 3f\n"
      "2:\n\t" NINE_TAPS("2", "2") "bne 2b\n\t"
      "b 4f\n"
      "3:\n\t" NINE_TAPS("4", "0") "bne 3b\n"
      "4:\n\t"
      "ldr r10, [sp, #12]\n\t"
      "ldrd r9, r10, [r10, #20]\n\t"
      "add r0, r9\n\t"
      "add r1, r9\n\t"
      "add r2, r9\n\t"
      "add r3, r10\n\t"
      "ldr r9, [sp, #8]\n\t"
      "subs r9, #1\n\t"
      "str r9, [sp, #8]\n\t"
      "bne 1b\n\t"
      "add sp, #16\n\t"
      "pop {r4, r5, r6, r7, r8, r9, r10, r11, pc}");
}

static inline uint32_t pair_of(int32_t low, int32_t high, int32_t up) {
  return ((uint32_t)low << up & 0xffffu) | (uint32_t)high << (16 + up);
}
#endif
//@ end

/* A slide_t for a window of 3 x 3 without dilation, with strides of 1 and 2. */
static void slide3(const lane_t *tile, const plane_t *p, int32_t k, int8_t *out, int32_t step,
                   int32_t row_step) {
#if PATH_MVE || PATH_DSP
//@ if twice
//@ if line
  if (p->scalings.kind == TWICE) {
    slide3_plain(tile, p, k, out, step, row_step);
    return;
  }
//@ end
//@ unless line
  slide3_plain(tile, p, k, out, step, row_step);
//@ end
//@ end
//@ if line
  const int32_t width = p->full_width, stride = p->stride_width;
  const int8_t *weights = p->weights + 9 * k;
  const scaling_t by = scaling_of(&p->scalings, k);
  slide_rows_t job;
  job.in = tile, job.out = out, job.step = step, job.stride = stride;
  job.multiplier = by.multiplier, job.offset = by.offset, job.rows = p->out_height;
#if PATH_MVE
  const int32_t fours = (p->out_width + 3) >> 2;
  vstrwq_s32(job.weights, vshlq_r_s32(vldrbq_s32(weights), p->scalings.up));
  vstrwq_s32(job.weights + 4, vshlq_r_s32(vldrbq_s32(weights + 4), p->scalings.up));
  job.weights[8] = weights[8] * (int32_t)(1 << p->scalings.up);
  job.down = -by.down;
  job.next_row = stride == 1 ? width : width - 2;
  job.next_four = 4 * stride - 2 * job.next_row - (stride == 1 ? 0 : 6);
  job.in_row = p->stride_height * width - 4 * stride * fours, job.out_row = row_step;
  job.columns = p->out_width;
  if (stride == 1) {
    slide_rows_beside(&job);
  } else {
    slide_rows_apart(&job);
  }
#else
  const int32_t up = p->scalings.up - LANE_SHIFT, bytes = (int32_t)sizeof(lane_t);
  job.pair0 = pair_of(weights[0], weights[1], up);
  job.pair1 = pair_of(weights[3], weights[4], up);
  job.pair2 = pair_of(weights[6], weights[7], up);
  job.thirds = pair_of(weights[2], weights[5], up);
  job.ninth = pair_of(weights[8], 0, up);
  job.down = by.down, job.row = bytes * width;
  job.columns = p->out_width * step;
  job.next_in = bytes * (p->stride_height * width - p->out_width * stride);
  job.next_out = row_step - job.columns;
  slide_rows(&job);
#endif
//@ end
#else
  slide3_plain(tile, p, k, out, step, row_step);
#endif
}
