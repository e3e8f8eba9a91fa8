/* A function of one code as the table of its answers: entry k is for the code whose byte is k.
 * out may be in. */
static void lookup(const int8_t *in, int32_t count, const int8_t *table, int8_t *out) {
  for (int32_t i = 0; i < count; i++) out[i] = table[(uint8_t)in[i]];
}
