/* A window that slides over an image, channels last. Of a window at the edge only that counts which
 * is inside the image. */
typedef struct {
  int16_t height, width, channels;  /* of what comes in */
  int16_t top, left;                /* how far the first window is above and left of the image */
  int16_t window_height, window_width, stride_height, stride_width;
  int16_t out_height, out_width;
} pool_t;

typedef struct {
  int32_t first, count;
} inside_t;

/* Which rows of an image of length rows a window of size rows sees, that begins at row from. */
static inline inside_t inside_of(int32_t from, int32_t size, int32_t length) {
  const int32_t end = from + size < length ? from + size : length;
  inside_t found;
  found.first = from > 0 ? from : 0;
  found.count = end - found.first;
  return found;
}
