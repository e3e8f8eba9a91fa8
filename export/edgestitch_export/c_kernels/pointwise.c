// needs: products
/* CONV_2D with a window of 1 x 1: every pixel by itself. out may be in where outputs <= inputs:
 * what a block of pixels sees is in lanes before its codes are written. */
static void pointwise(const int8_t *in, int32_t pixels, int32_t inputs, const int8_t *weights,
                      int32_t outputs, const scalings_t *scalings,
                      lane_t *lanes, int8_t *out) {
  for (; pixels > 0; pixels -= BLOCK) {
    const int32_t some = pixels < BLOCK ? pixels : BLOCK;
    for (int32_t p = 0; p < some; p++, in += inputs) lay(lanes, p, in, inputs);
    products(lanes, inputs, weights, 0, outputs, scalings, out, outputs, some);
    out += some * outputs;
  }
}
