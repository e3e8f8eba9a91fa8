#if PATH_DSP
typedef uint32_t __attribute__((may_alias)) word_t;

/* The four bytes at p, which may stand anywhere. */
static inline uint32_t word_at(const void *p) {
  uint32_t word;
  __builtin_memcpy(&word, p, sizeof word); /* one load, in a freestanding build too */
  return word;
}

/* Bytes 0 and 2 of a word as two int16, and bytes 1 and 3. */
static inline int16x2_t even_of(uint32_t word) { return __sxtb16((int8x4_t)word); }
static inline int16x2_t odd_of(uint32_t word) {
  int16x2_t odd;
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(odd) : "r"(word));
  return odd;
}
#endif
