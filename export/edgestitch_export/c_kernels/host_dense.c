// needs: host_line
/* FULLY_CONNECTED: four rows of weights together. inputs, the length of a row, is a whole number of
 * 16, of which the last may be zeros: count are there. flip is 0x80 where in are pixels, else 0. rows
 * is a whole number of four, of which outputs are there. codes takes inputs, sums takes rows. */
static void host_dense(const uint8_t *restrict in, int32_t count, uint32_t flip, int32_t inputs,
                       const int8_t *restrict weights, int32_t rows, int32_t outputs,
                       const host_line_t *line, int16_t *restrict codes, int32_t *restrict sums,
                       int8_t *restrict out) {
  for (int32_t i = 0; i < count; i++) codes[i] = (int16_t)((int32_t)(in[i] ^ flip ^ 0x80u) - 128);
  for (int32_t i = count; i < inputs; i++) codes[i] = 0;
  for (int32_t k = 0; k < rows; k += 4, weights += 4 * inputs) {
    const int8_t *restrict a = weights, *restrict b = a + inputs;
    const int8_t *restrict c = b + inputs, *restrict d = c + inputs;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (int32_t i = 0; i < (inputs & ~15); i++) {
      s0 += codes[i] * a[i], s1 += codes[i] * b[i];
      s2 += codes[i] * c[i], s3 += codes[i] * d[i];
    }
    sums[k] = s0, sums[k + 1] = s1, sums[k + 2] = s2, sums[k + 3] = s3;
  }
  host_codes(sums, outputs, line, out);
}
