/* The place of the largest score, the first of them where several are. */
static int top(const int8_t *scores, int32_t classes) {
  int32_t best = 0;
  for (int32_t k = 1; k < classes; k++) {
    if (scores[k] > scores[best]) best = k;
  }
  return (int)best;
}
