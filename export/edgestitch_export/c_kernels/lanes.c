/* A lane holds one code on its way into products: a byte, or on Arm's DSP path an int16 of 256
 * times the code, so that a store of the code into its high byte is enough. */
#if PATH_DSP
typedef int16_t __attribute__((may_alias)) lane_t;
#define CODE_BYTE 1    /* where the code lies in a lane */
#define LANE_SHIFT 8   /* a sum of lanes is a sum of codes shifted so */
#else
typedef int8_t lane_t;
#define CODE_BYTE 0
#define LANE_SHIFT 0
#if defined(__GNUC__)
typedef int16_t __attribute__((may_alias)) wide_t; /* a code in 16 bits, in the arena */
#else
typedef int16_t wide_t;
#endif
#endif
