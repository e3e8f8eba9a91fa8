/* Vectors of the compiler (gcc's extension, which clang has as well), as wide as the processor's. */
#ifdef __AVX2__
#define HOST_BYTES 32
#else
#define HOST_BYTES 16
#endif
typedef int16_t host_int16_t __attribute__((vector_size(HOST_BYTES)));
typedef int32_t host_int32_t __attribute__((vector_size(HOST_BYTES)));
typedef uint32_t host_uint32_t __attribute__((vector_size(HOST_BYTES)));

static inline host_int16_t host_vector(const int16_t *from) {
  host_int16_t found;
  memcpy(&found, from, sizeof found);
  return found;
}

/* Of each two lanes the first, the second, where the little end comes first. */
#define HOST_EVEN(lanes) ((host_int32_t)((host_uint32_t)(lanes) << 16) >> 16)
#define HOST_ODD(lanes) ((host_int32_t)(lanes) >> 16)
