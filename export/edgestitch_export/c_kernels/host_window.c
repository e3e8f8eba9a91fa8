// needs: host_line host_vectors
/* Convolutions that see one channel at a time, of images whose channels lie side by side. */
typedef struct {
  int32_t height, width, channels;
  int32_t full_height, full_width; /* with the border */
  int32_t full_channels;           /* with zeros up to a whole number of 16, or one */
  int32_t top, left;               /* rows and columns of the border before it */
  int32_t out_height, out_width, stride_height, stride_width;
  int16_t zero;                    /* the code of zero, which the border holds */
} host_window_t;

/* Adds up vectors of sums of two products each: those of the even lanes, and those of the odd ones,
 * which are eight channels further. */
static inline void host_window_sums(const host_int16_t pairs[5], int32_t *sums) {
  host_int32_t even = HOST_EVEN(pairs[0]), odd = HOST_ODD(pairs[0]);
  for (int32_t i = 1; i < 5; i++) even += HOST_EVEN(pairs[i]), odd += HOST_ODD(pairs[i]);
  memcpy(sums, &even, sizeof even);
  memcpy(sums + 8, &odd, sizeof odd);
}

static inline int16_t host_code_of(uint8_t byte, uint32_t flip) {
  return (int16_t)((int32_t)(byte ^ flip ^ 0x80u) - 128);
}

/* Lays the image inside its border, flip is 0x80 where in are pixels, else 0. Of 16 channels the first
 * of each eight lie side by side, then the second ones, and so on. */
static void host_border(const uint8_t *restrict in, uint32_t flip, const host_window_t *p,
                        int16_t *restrict tile) {
  const int32_t n = p->channels, full = p->full_channels, count = p->full_width * full;
  for (int32_t i = 0; i < p->full_height * count; i++) tile[i] = p->zero;
  tile += p->top * count + p->left * full;
  for (int32_t y = 0; y < p->height; y++, tile += count) {
    int16_t *restrict to = tile;
    if (full == 1) {
      for (int32_t x = 0; x < p->width; x++) to[x] = host_code_of(in[x], flip);
      in += p->width;
      continue;
    }
    for (int32_t x = 0; x < p->width; x++) {
      for (int32_t left = n; left > 0; left -= 16, to += 16) {
        const int32_t some = left < 16 ? left : 16;
        uint8_t bytes[16] = {0};
        int16_t codes[16];
        uint32_t pairs[8];
        if (some == 16) {
          memcpy(bytes, in, 16);
        } else {
          memcpy(bytes, in, (size_t)some);
        }
        in += some;
        for (int32_t k = 0; k < 16; k++) codes[k] = host_code_of(bytes[k], flip);
        for (int32_t k = 0; k < 8; k++) {
          pairs[k] = (uint32_t)(uint16_t)codes[k] | (uint32_t)(uint16_t)codes[8 + k] << 16;
        }
        memcpy(to, pairs, sizeof pairs);
      }
    }
  }
}
