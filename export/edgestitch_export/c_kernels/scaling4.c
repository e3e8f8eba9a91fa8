// needs: scaling
#if PATH_MVE
/* The scalings of four channels, or of one, four times. */
typedef struct {
  int32x4_t multiplier, offset;
//@ if line
  int32x4_t down; /* less than 0, which shifts right */
//@ end
//@ if twice
  int32x4_t left, right;
//@ end
} scaling4_t;

static inline scaling4_t scaling4_alike(scaling_t by) {
  scaling4_t found;
  found.multiplier = vdupq_n_s32(by.multiplier), found.offset = vdupq_n_s32(by.offset);
//@ if line
  found.down = vdupq_n_s32(-by.down);
//@ end
//@ if twice
  found.left = vdupq_n_s32(by.left), found.right = vdupq_n_s32(by.right);
//@ end
  return found;
}
//@ if twice

static inline scaling4_t twice4_of(const scalings_t *s, int32_t k) {
  scaling4_t found = scaling4_alike(twice_of(s, k));
  for (int32_t r = 1; r < 4; r++) {
    const scaling_t by = twice_of(s, k + r);
    found.multiplier[r] = by.multiplier, found.offset[r] = by.offset;
    found.left[r] = by.left, found.right[r] = by.right;
  }
  return found;
}
//@ end
//@ if line

static inline scaling4_t line4_of(const scalings_t *s, int32_t k) {
  const uint8_t *record = s->records + 7 * k;
  const uint32x4_t apart = vmulq_n_u32(vidupq_n_u32(0, 1), 7);
  const uint32x4_t middle = vldrbq_gather_offset_u32(record + 3, apart);
  uint32x4_t low = vldrbq_gather_offset_u32(record, apart), high = middle;
  low = vsliq_n_u32(low, vldrbq_gather_offset_u32(record + 1, apart), 8);
  low = vsliq_n_u32(low, vldrbq_gather_offset_u32(record + 2, apart), 16);
  low = vsliq_n_u32(low, middle, 24);
  high = vsliq_n_u32(high, vldrbq_gather_offset_u32(record + 4, apart), 8);
  high = vsliq_n_u32(high, vldrbq_gather_offset_u32(record + 5, apart), 16);
  high = vsliq_n_u32(high, vldrbq_gather_offset_u32(record + 6, apart), 24);
  const uint32x4_t more = vandq_u32(vshrq_n_u32(low, 26), vdupq_n_u32(3));
  scaling4_t found;
  found.multiplier = vreinterpretq_s32_u32(vshrq_n_u32(vshlq_n_u32(low, 6), 1));
  found.offset = vshrq_n_s32(vreinterpretq_s32_u32(high), 4);
  found.down = vsubq_s32(vdupq_n_s32(-(int32_t)s->down), vreinterpretq_s32_u32(more));
//@ if twice
  found.left = found.right = vdupq_n_s32(0);
//@ end
  return found;
}
//@ end

/* Of the channels k to k + 3. */
static inline scaling4_t scaling4_of(const scalings_t *s, int32_t k) {
//@ if twice
//@ if line
  if (s->kind == TWICE) return twice4_of(s, k);
//@ end
//@ unless line
  return twice4_of(s, k);
//@ end
//@ end
//@ if line
  return line4_of(s, k);
//@ end
}

/* Held within int8, in the low bytes of the lanes; what is above them is of no use. */
static inline int32x4_t saturated(int32x4_t values) {
  const int16x8_t halves = vqmovnbq_s32(vreinterpretq_s16_s32(values), values);
  return vreinterpretq_s32_s8(vqmovnbq_s16(vreinterpretq_s8_s16(halves), halves));
}
//@ if twice

static inline int32x4_t twice_codes(int32x4_t sums, scaling4_t by, int32_t zero) {
  const int32x4_t whole = vshlq_s32(vaddq_s32(sums, by.offset), by.left);
  const int32x4_t steps = vqrdmulhq_s32(whole, by.multiplier);
  /* Halves away from zero: one less below zero, where anything is shifted out. */
  const int32x4_t less = vandq_s32(vshrq_n_s32(steps, 31), vminq_s32(by.right, vdupq_n_s32(1)));
  const int32x4_t codes = vrshlq_s32(vsubq_s32(steps, less), vnegq_s32(by.right));
  return saturated(vaddq_s32(codes, vdupq_n_s32(zero)));
}
//@ end

/* Four codes, in the low bytes of the lanes. */
static inline int32x4_t codes_of(int32x4_t sums, scaling4_t by, const scalings_t *s) {
//@ if twice
//@ if line
  if (s->kind == TWICE) return twice_codes(sums, by, s->zero);
//@ end
//@ unless line
  return twice_codes(sums, by, s->zero);
//@ end
//@ end
//@ if line
  const int32x4_t steps = vmulhq_s32(vshlq_r_s32(sums, s->up), by.multiplier);
  return saturated(vshlq_s32(vaddq_s32(steps, by.offset), by.down));
//@ end
}
#endif
