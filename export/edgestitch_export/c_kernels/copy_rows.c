/* Copies rows of codes, which are in_step apart where they come from and out_step where they go. */
static void copy_rows(const int8_t *in, int32_t in_step, int8_t *out, int32_t out_step,
                      int32_t rows, int32_t length) {
  for (; rows > 0; rows--, in += in_step, out += out_step) memcpy(out, in, (size_t)length);
}
