// needs: scaling lanes
/* Convolutions that see one channel at a time: a plane, laid out in a tile with its border. */
typedef struct plane plane_t;

/* Slides the window of channel k over tile. Codes go to out, step bytes from column to column and
 * row_step from row to row. */
typedef void slide_t(const lane_t *tile, const plane_t *p, int32_t k, int8_t *out, int32_t step,
                     int32_t row_step);

struct plane {
  const int8_t *weights; /* channel by channel, each row by row */
  scalings_t scalings;
  slide_t *slides;
  int16_t height, width;           /* of the plane that comes in, without its border */
  int16_t full_height, full_width; /* with it */
  int16_t out_height, out_width;
  uint8_t top, left;               /* rows and columns of the border before it */
  uint8_t window_height, window_width, stride_height, stride_width;
  uint8_t dilation_height, dilation_width;
  int8_t zero;                     /* the code of zero, which the border holds */
};

static void fill_plane(lane_t *tile, const plane_t *p) {
  const int32_t count = (int32_t)p->full_height * p->full_width;
  for (int32_t i = 0; i < count; i++) tile[i] = (lane_t)(p->zero * (1 << LANE_SHIFT));
}

/* Lays a plane, whose codes are step bytes apart, inside the border of tile. */
NOINLINE static void load_plane(const uint8_t *in, int32_t step, uint32_t flip, lane_t *tile,
                       const plane_t *p) {
  tile += (int32_t)p->top * p->full_width + p->left;
#if PATH_MVE
  const uint16x8_t apart = vmulq_n_u16(vidupq_n_u16(0, 1), (uint16_t)step);
  const uint16x8_t flips = vdupq_n_u16((uint16_t)flip);
#endif
  for (int32_t y = p->height; y > 0; y--, tile += p->full_width) {
    uint8_t *to = (uint8_t *)tile + CODE_BYTE;
#if PATH_MVE
    const uint8_t *from = in;
    __asm__ volatile(
        "dlstp.16 lr, %[width]\n"
        "1:\n\t"
        "vldrb.u16 q0, [%[from], %q[apart]]\n\t"
        "veor q0, q0, %q[flips]\n\t"
        "add %[from], %[eight]\n\t"
        "vstrb.16 q0, [%[to]], #8\n\t"
        "letp lr, 1b"
        : [from] "+r"(from), [to] "+l"(to)
        : [width] "r"((int32_t)p->width), [eight] "r"(8 * step), [apart] "w"(apart),
          [flips] "w"(flips)
        : "q0", "lr", "memory");
    in += step * p->width;
#else
    for (int32_t x = p->width; x > 0; x--, in += step, to += sizeof(lane_t)) {
      *to = (uint8_t)(*in ^ flip);
    }
#endif
  }
}
