/* REDUCE_MAX of count rows of length codes, for each of several blocks of rows. out may be in. */
static void reduce_max(const int8_t *in, int32_t blocks, int32_t count, int32_t length,
                       int8_t *out) {
  for (; blocks > 0; blocks--, in += count * length) {
    for (int32_t k = 0; k < length; k++) {
      int8_t most = in[k];
      for (int32_t i = 1; i < count; i++) {
        if (in[i * length + k] > most) most = in[i * length + k];
      }
      *out++ = most;
    }
  }
}
