// needs: products
/* CONV_2D with any window. */
typedef struct {
  int16_t height, width, channels; /* of what comes in */
  int16_t out_height, out_width, outputs;
  int16_t groups;                  /* in which inputs and outputs are convolved apart */
  uint8_t top, left;               /* rows and columns of the border before it */
  uint8_t window_height, window_width, stride_height, stride_width;
  uint8_t dilation_height, dilation_width;
  int8_t zero;                     /* the code of zero, which the border holds */
} conv_t;

/* What the pixel at row y, column x of the output sees of depth channels, row by row. */
static void see(const int8_t *in, const conv_t *c, int32_t y, int32_t x, int32_t depth,
                int8_t *seen) {
  for (int32_t i = 0; i < c->window_height; i++) {
    const int32_t row = y * c->stride_height - c->top + i * c->dilation_height;
    for (int32_t j = 0; j < c->window_width; j++, seen += depth) {
      const int32_t column = x * c->stride_width - c->left + j * c->dilation_width;
      if (row < 0 || row >= c->height || column < 0 || column >= c->width) {
        memset(seen, c->zero, (size_t)depth);
      } else {
        memcpy(seen, in + (row * c->width + column) * c->channels, (size_t)depth);
      }
    }
  }
}

/* seen takes what one pixel sees, lanes what BLOCK pixels see. in and out do not overlap. */
static void conv(const int8_t *in, const conv_t *c, const int8_t *weights,
                 const scalings_t *scalings, int8_t *seen, lane_t *lanes, int8_t *out) {
  const int32_t depth = c->channels / c->groups, each = c->outputs / c->groups;
  const int32_t inputs = (int32_t)c->window_height * c->window_width * depth;
  const int32_t pixels = (int32_t)c->out_height * c->out_width;
  for (int32_t pixel = 0; pixel < pixels; pixel += BLOCK) {
    const int32_t some = pixels - pixel < BLOCK ? pixels - pixel : BLOCK;
    for (int32_t g = 0; g < c->groups; g++) {
      for (int32_t p = 0; p < some; p++) {
        const int32_t y = (pixel + p) / c->out_width, x = (pixel + p) % c->out_width;
        see(in + g * depth, c, y, x, depth, seen);
        lay(lanes, p, seen, inputs);
      }
      products(lanes, inputs, weights + g * each * inputs, g * each, (g + 1) * each, scalings,
               out + pixel * c->outputs, c->outputs, some);
    }
  }
}
