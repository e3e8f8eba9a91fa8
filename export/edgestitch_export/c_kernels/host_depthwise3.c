// needs: host_window
/* DEPTHWISE_CONV_2D of 3x3. weights are int16, in the order of the tile's channels: of each place in
 * the window those of all channels. The sum of two products fits 16 bits. */
static void host_depthwise3(const uint8_t *in, uint32_t flip, const host_window_t *p,
                            const int16_t *weights, const host_line_t *line, int16_t *tile,
                            int32_t *sums, int8_t *out) {
  const int32_t n = p->full_channels, full = p->full_width * n;
  host_border(in, flip, p, tile);
  for (int32_t y = 0; y < p->out_height; y++) {
    for (int32_t x = 0; x < p->out_width; x++, out += p->channels) {
      const int16_t *const corner = tile + y * p->stride_height * full + x * p->stride_width * n;
      for (int32_t k = 0; k < n; k += 16) {
        for (int32_t v = 0; v < 16; v += HOST_BYTES / 2) {
          const int16_t *w = weights + k + v, *a = corner + k + v, *b = a + full, *c = b + full;
#define HOST_PRODUCT(at, tap) (host_vector(at) * host_vector(w + (tap)*n))
          const host_int16_t pairs[5] = {HOST_PRODUCT(a, 0) + HOST_PRODUCT(a + n, 1),
                                         HOST_PRODUCT(a + 2 * n, 2) + HOST_PRODUCT(b, 3),
                                         HOST_PRODUCT(b + n, 4) + HOST_PRODUCT(b + 2 * n, 5),
                                         HOST_PRODUCT(c, 6) + HOST_PRODUCT(c + n, 7),
                                         HOST_PRODUCT(c + 2 * n, 8)};
#undef HOST_PRODUCT
          host_window_sums(pairs, sums + k + v / 2);
        }
      }
      host_codes(sums, p->channels, line, out);
    }
  }
}
