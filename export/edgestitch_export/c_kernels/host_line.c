/* From sums to codes on a computer, in one of three ways:
 * HOST_LINE: code = (high 32 bits of (sum << up) * multiplier + offset) >> down. Proved as a line of a
 *   microcontroller's is; down is that of all channels.
 * HOST_WIDE: code = (sum * multiplier + (offset << up)) >> down, in 64 bits. Proved likewise.
 * HOST_TWICE: rounded twice, as TensorFlow Lite's reference kernels do it
 *   (MultiplyByQuantizedMultiplier): offset is the bias, up and down are those of each channel.
 * Codes are held between low and high. */
enum { HOST_LINE, HOST_WIDE, HOST_TWICE };
typedef struct {
  const int32_t *multipliers, *offsets, *ups, *downs; /* of each channel */
  int32_t kind, up, down, zero, low, high;
} host_line_t;

static inline int32_t host_held(int32_t code, int32_t low, int32_t high) {
  const int32_t held = code > low ? code : low; /* two steps, which vectors have */
  return held < high ? held : high;
}

/* The codes of the sums of count channels, of which the sums are lost. There are sums and numbers of a
 * whole number of 16 channels, so that no vector is begun in vain. */
static void host_codes(int32_t *restrict sums, int32_t count, const host_line_t *line,
                       int8_t *restrict out) {
  const host_line_t by = *line;
  const int32_t *restrict multipliers = by.multipliers, *restrict offsets = by.offsets;
  const int32_t *restrict ups = by.ups, *restrict downs = by.downs;
  const int32_t full = (count + 15) & ~15;
  if (by.kind == HOST_LINE) {
    for (int32_t k = 0; k < full; k++) {
      const int64_t product = (int64_t)(int32_t)((uint32_t)sums[k] << by.up) * multipliers[k];
      /* Not as a signed number: its lower half is the same, and vectors have that shift. */
      const int32_t steps = (int32_t)((uint64_t)product >> 32) + offsets[k];
      sums[k] = host_held(steps >> by.down, by.low, by.high);
    }
  } else if (by.kind == HOST_WIDE) {
    for (int32_t k = 0; k < full; k++) {
      const int64_t steps = (int64_t)sums[k] * multipliers[k] + offsets[k] * ((int64_t)1 << by.up);
      const int64_t code = steps >> by.down;
      sums[k] = (int32_t)(code < by.low ? by.low : code > by.high ? by.high : code);
    }
  } else {
    for (int32_t k = 0; k < full; k++) {
      const int32_t whole = (int32_t)((uint32_t)(sums[k] + offsets[k]) << ups[k]);
      const int64_t product = (int64_t)whole * multipliers[k] + (1 << 30);
      const int32_t steps = (int32_t)((uint64_t)product >> 31);
      /* Halves away from zero: one less below it, where anything is shifted out. */
      const int32_t half = ((int32_t)1 << downs[k]) >> 1;
      const int32_t below = steps >> 31 & -(downs[k] > 0);
      sums[k] = host_held(((steps + half + below) >> downs[k]) + by.zero, by.low, by.high);
    }
  }
  int32_t k = 0;
  for (; k + 8 <= count; k += 8) {
    for (int32_t j = 0; j < 8; j++) out[k + j] = (int8_t)sums[k + j];
  }
  for (; k < count; k++) out[k] = (int8_t)sums[k];
}
