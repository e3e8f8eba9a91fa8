// needs: planes
/* Convolutions of planes: DEPTHWISE_CONV_2D, and CONV_2D of one channel. Channel k of the outputs
 * looks at channel k / each of the inputs. Where next is not 0, what comes out goes through
 * another, which needs no more of it than a plane at a time.
 *
 * out may be in where each is 1, and the plane that comes out is no larger: a plane is in tile
 * before its codes are written. */
NOINLINE static void depthwise(const uint8_t *in, int32_t inputs, int32_t each, uint32_t flip,
                      const plane_t *p, lane_t *tile, const plane_t *next, lane_t *next_tile,
                      int8_t *out) {
  const int32_t outputs = inputs * each;
  fill_plane(tile, p);
  if (next) fill_plane(next_tile, next);
  for (int32_t k = 0, g = 0; g < inputs; g++) {
    load_plane(in + g, inputs, flip, tile, p);
    for (int32_t end = k + each; k < end; k++, out++) {
      if (next) {
        lane_t *inside = next_tile + (int32_t)next->top * next->full_width + next->left;
        p->slides(tile, p, k, (int8_t *)inside + CODE_BYTE, (int32_t)sizeof(lane_t),
                  next->full_width * (int32_t)sizeof(lane_t));
        next->slides(next_tile, next, k, out, outputs, next->out_width * outputs);
      } else {
        p->slides(tile, p, k, out, outputs, p->out_width * outputs);
      }
    }
  }
}
