/* From a sum of products to a code. The channels of a layer have a record each, little-endian.
 * Right shifts of negative numbers are arithmetic, as in every compiler that we know. */
typedef struct {
  const uint8_t *records;
  uint8_t kind, up, down;
  int8_t zero; /* the output's code of zero */
} scalings_t;

typedef struct {
  int32_t multiplier, offset; /* the offset of a line, or a bias */
//@ if line
  int32_t down;
//@ end
//@ if twice
  int32_t left, right; /* bits to shift by in front of the multiplication and behind it */
//@ end
//@ if long
  int64_t long_multiplier, long_offset;
//@ end
} scaling_t;

static inline int32_t int32_at(const uint8_t *b) {
  return (int32_t)((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                   (uint32_t)b[3] << 24);
}
//@ if line twice

static inline int8_t int8_of(int32_t value) {
#if PATH_DSP
  __asm__("ssat %0, #8, %0" : "+r"(value));
  return (int8_t)value;
#else
  return (int8_t)(value > 127 ? 127 : value < -128 ? -128 : value);
#endif
}
//@ end
//@ if line

/* A line: code = (high 32 bits of (sum << up) * multiplier + offset) >> (down + more). The bias,
 * the zero points and the half for rounding are in the offset. That this gives the code of
 * TensorFlow Lite's reference kernels for every sum that can occur was proved at each of the 255
 * steps of each channel when this file was written. 7 bytes: 26 bits of the multiplier, which goes
 * without its low 5, 2 bits of "more", 28 bits of the offset. */
#define LINE 0
static inline scaling_t line_of(const scalings_t *s, int32_t channel) {
  const uint8_t *record = s->records + 7 * channel;
  const uint32_t low = (uint32_t)int32_at(record);
  scaling_t found;
  found.multiplier = (int32_t)(low << 6 >> 1);
  found.offset = int32_at(record + 3) >> 4;
  found.down = s->down + (int32_t)(low >> 26 & 3);
//@ if twice
  found.left = found.right = 0;
//@ end
//@ if long
  found.long_multiplier = found.long_offset = 0;
//@ end
  return found;
}

static inline int8_t line_code(int32_t sum, scaling_t by, int32_t up) {
#if PATH_DSP
  int32_t steps = (int32_t)((uint32_t)sum << up);
  __asm__("smmla %0, %0, %1, %2" : "+r"(steps) : "r"(by.multiplier), "r"(by.offset));
#else
  const int64_t product = (int64_t)sum * by.multiplier;
  const int32_t steps = (int32_t)(product >> (32 - up)) + by.offset;
#endif
  return int8_of(steps >> by.down);
}
//@ end
//@ if wide

/* A line in 64 bits, where 32 are too few: code = (sum * multiplier + (offset << up)) >> down.
 * Proved likewise. 8 bytes: the multiplier, the offset. */
#define WIDE 1
//@ if long
#define LONG 64 /* as up: 16 bytes, 64 bits of each, and the offset is not shifted */

static inline int64_t int64_at(const uint8_t *b) {
  return (int64_t)((uint64_t)(uint32_t)int32_at(b) | (uint64_t)(uint32_t)int32_at(b + 4) << 32);
}

//@ end
static inline scaling_t wide_of(const scalings_t *s, int32_t channel) {
  scaling_t found;
//@ if long
  if (s->up == LONG) {
    const uint8_t *record = s->records + 16 * channel;
    found = (scaling_t){0};
    found.long_multiplier = int64_at(record);
    found.long_offset = int64_at(record + 8);
    return found;
  }
  found.long_multiplier = found.long_offset = 0;
//@ end
  found.multiplier = int32_at(s->records + 8 * channel);
  found.offset = int32_at(s->records + 8 * channel + 4);
//@ if line
  found.down = 0;
//@ end
//@ if twice
  found.left = found.right = 0;
//@ end
  return found;
}

static inline int8_t wide_code(int32_t sum, scaling_t by, const scalings_t *s) {
//@ if long
  const int64_t steps = s->up == LONG
                            ? sum * by.long_multiplier + by.long_offset
                            : (int64_t)sum * by.multiplier + by.offset * ((int64_t)1 << s->up);
//@ end
//@ unless long
  const int64_t steps = (int64_t)sum * by.multiplier + by.offset * ((int64_t)1 << s->up);
//@ end
  const int64_t code = steps >> s->down;
  return (int8_t)(code > 127 ? 127 : code < -128 ? -128 : code);
}
//@ end
//@ if twice

/* Rounded twice, as TensorFlow Lite's reference kernels do it (MultiplyByQuantizedMultiplier):
 * where halves below zero matter, which are rounded away from it. 10 bytes: the bias, the
 * multiplier, how far to shift left before it and right behind it. */
#define TWICE 2
static inline scaling_t twice_of(const scalings_t *s, int32_t channel) {
  const uint8_t *record = s->records + 10 * channel;
  scaling_t found;
  found.offset = int32_at(record);
  found.multiplier = int32_at(record + 4);
  found.left = record[8], found.right = record[9];
//@ if line
  found.down = 0;
//@ end
//@ if long
  found.long_multiplier = found.long_offset = 0;
//@ end
  return found;
}

static inline int8_t twice_code(int32_t sum, scaling_t by, int32_t zero) {
  const int32_t whole = (int32_t)((uint32_t)(sum + by.offset) << by.left);
  int32_t steps = (int32_t)(((int64_t)whole * by.multiplier + ((int32_t)1 << 30)) >> 31);
  if (by.right > 0) steps = (steps + ((int32_t)1 << (by.right - 1)) + (steps >> 31)) >> by.right;
  return int8_of(steps + zero);
}
//@ end

static inline scaling_t scaling_of(const scalings_t *s, int32_t channel) {
//@ if line
//@ if twice
  if (s->kind == TWICE) return twice_of(s, channel);
//@ end
//@ if wide
  if (s->kind == WIDE) return wide_of(s, channel);
//@ end
  return line_of(s, channel);
//@ end
//@ unless line
//@ if wide
//@ if twice
  if (s->kind == TWICE) return twice_of(s, channel);
//@ end
  return wide_of(s, channel);
//@ end
//@ unless wide
  return twice_of(s, channel);
//@ end
//@ end
}

/* The code of a sum, which is shifted left by lane bits already. */
static inline int8_t code_of(int32_t sum, scaling_t by, const scalings_t *s, int32_t lane) {
//@ if line
//@ if twice
  if (s->kind == TWICE) return twice_code(sum >> lane, by, s->zero);
//@ end
//@ if wide
  if (s->kind == WIDE) return wide_code(sum >> lane, by, s);
//@ end
  return line_code(sum, by, s->up - lane);
//@ end
//@ unless line
//@ if wide
//@ if twice
  if (s->kind == TWICE) return twice_code(sum >> lane, by, s->zero);
//@ end
  return wide_code(sum >> lane, by, s);
//@ end
//@ unless wide
  return twice_code(sum >> lane, by, s->zero);
//@ end
//@ end
}
