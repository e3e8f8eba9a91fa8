// needs: pool
/* MAX_POOL_2D: the largest code of each window. */
static void max_pool(const int8_t *in, const pool_t *p, int8_t *out) {
  const int32_t channels = p->channels, row = (int32_t)p->width * channels;
  for (int32_t y = 0; y < p->out_height; y++) {
    const inside_t ys =
        inside_of(y * p->stride_height - p->top, p->window_height, p->height);
    for (int32_t x = 0; x < p->out_width; x++) {
      const inside_t xs = inside_of(x * p->stride_width - p->left, p->window_width, p->width);
      const int8_t *corner = in + ys.first * row + xs.first * channels;
      for (int32_t k = 0; k < channels; k++, corner++) {
        int8_t most = -128;
        for (int32_t i = 0; i < ys.count; i++) {
          for (int32_t j = 0; j < xs.count; j++) {
            const int8_t code = corner[i * row + j * channels];
            if (code > most) most = code;
          }
        }
        *out++ = most;
      }
    }
  }
}
