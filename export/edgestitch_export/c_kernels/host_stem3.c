// needs: host_window
/* CONV_2D of 3x3 of one channel. weights as those of host_depthwise3, with zeros behind outputs up to
 * a whole number of 16, which is rows. */
static void host_stem3(const uint8_t *in, uint32_t flip, const host_window_t *p, int32_t rows,
                       int32_t outputs, const int16_t *weights, const host_line_t *line,
                       int16_t *tile, int32_t *sums, int8_t *out) {
  const int32_t full = p->full_width;
  host_border(in, flip, p, tile);
  for (int32_t y = 0; y < p->out_height; y++) {
    for (int32_t x = 0; x < p->out_width; x++, out += outputs) {
      const int16_t *const a = tile + y * p->stride_height * full + x * p->stride_width;
      const int16_t *const b = a + full, *const c = b + full;
      for (int32_t k = 0; k < rows; k += 16) {
        for (int32_t v = 0; v < 16; v += HOST_BYTES / 2) {
          const int16_t *w = weights + k + v;
#define HOST_PRODUCT(code, tap) (((host_int16_t){0} + (code)) * host_vector(w + (tap)*rows))
          const host_int16_t pairs[5] = {HOST_PRODUCT(a[0], 0) + HOST_PRODUCT(a[1], 1),
                                         HOST_PRODUCT(a[2], 2) + HOST_PRODUCT(b[0], 3),
                                         HOST_PRODUCT(b[1], 4) + HOST_PRODUCT(b[2], 5),
                                         HOST_PRODUCT(c[0], 6) + HOST_PRODUCT(c[1], 7),
                                         HOST_PRODUCT(c[2], 8)};
#undef HOST_PRODUCT
          host_window_sums(pairs, sums + k + v / 2);
        }
      }
      host_codes(sums, outputs, line, out);
    }
  }
}
