// needs: planes
/* A slide_t for any window. */
static void slide(const lane_t *tile, const plane_t *p, int32_t k, int8_t *out, int32_t step,
                  int32_t row_step) {
  const scaling_t by = scaling_of(&p->scalings, k);
  const int8_t *weights = p->weights + k * p->window_height * p->window_width;
  const int32_t width = p->full_width;
  for (int32_t y = 0; y < p->out_height; y++, out += row_step) {
    const lane_t *row = tile + y * p->stride_height * width;
    int8_t *to = out;
    for (int32_t x = p->out_width; x > 0; x--, row += p->stride_width, to += step) {
      int32_t sum = 0;
      for (int32_t i = 0; i < p->window_height; i++) {
        const lane_t *in = row + i * p->dilation_height * width;
        for (int32_t j = 0; j < p->window_width; j++) {
          sum += in[j * p->dilation_width] * weights[i * p->window_width + j];
        }
      }
      *to = code_of(sum, by, &p->scalings, LANE_SHIFT);
    }
  }
}
