/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic that the kernels (Sources/XentKernels, NUMERICS.md) do for so many elements of f32, in loops in which no
 * operation waits for another one or for memory: faster than this the same operations are in no order. native.c times them
 * like passes over arrays of these elements.
 *
 * Of the registers v ("ymm" or "zmm") 10 and 11 are read, the others written. All are 0: only subnormal numbers would take
 * longer. */
#include <stddef.h>
#if defined(__x86_64__)
#define FROM_10(operation, v, to) operation " %%" v "10,%%" v "10,%%" v #to "\n\t"
#define LARGER(v) "vmaxps (%[in]),%%" v "10,%%" v "8\n\t"
#define FMA(v, to) FROM_10("vfmadd213ps", v, to)
#define MULTIPLY(v) FROM_10("vmulps", v, 8)
#define ADD(v) FROM_10("vaddps", v, 9)
#define ADD_INTEGERS(v) FROM_10("vpaddd", v, 9)
#define SHIFT(v) "vpslld $20,%%" v "10,%%" v "9\n\t"
#define LOOK_UP(v) "vpermps %%" v "10,%%" v "11,%%" v "9\n\t"
#define LOAD(v) "vmovaps (%[in]),%%" v "8\n\t"
#define STORE(v) "vmovaps %%" v "10,(%[room])\n\t"

/* An exponential's exponent and what is left of x, its scale, and exp of what is left, less 1. */
#define REDUCED(v) LARGER(v) FMA(v, 0) ADD(v) FMA(v, 1) FMA(v, 2)
#define SCALE(v) LOOK_UP(v) SHIFT(v) ADD_INTEGERS(v)
#define EXPM1(v) FMA(v, 3) FMA(v, 4) MULTIPLY(v) FMA(v, 5)

#define LARGEST(v, half) LARGER(v)
#define SUM(v, half) REDUCED(v) SCALE(v) EXPM1(v) ADD(v) ADD(v) ADD(v) FMA(v, 6) ADD(v)
/* Probabilities, each its exponential times an entry of a table; and of a sum's terms that were kept for them. */
#define SHARE(v, half) REDUCED(v) LOOK_UP(v) ADD(v) SCALE(v) EXPM1(v) FMA(v, 6) MULTIPLY(v) STORE(v)
#define KEPT_SHARE(v, half) \
  STORE(v) STORE(v) LOAD(v) LOAD(v) MULTIPLY(v) FMA(v, 0) FMA(v, 1) FMA(v, 2) ADD(v) MULTIPLY(v) STORE(v)
/* Log-probabilities, (x - largest) - loss in f64, by halves. */
#define HALF(v, half) \
  "vcvtps2pd (%[in]),%%" v "9\n\t" FROM_10("vfmadd213pd", v, 0) FROM_10("vfmadd213pd", v, 1) "vcvtpd2ps %%" v "10,%%" half "9\n\t"
#define JOINED_xmm "vinsertf128 $1,%%xmm9,%%ymm10,%%ymm8\n\t"
#define JOINED_ymm "vinsertf64x4 $1,%%ymm9,%%zmm10,%%zmm8\n\t"
#define LOG_SHARE(v, half) HALF(v, #half) HALF(v, #half) JOINED_##half STORE(v)

#define CLEAR(n) "vpxor %%xmm" #n ",%%xmm" #n ",%%xmm" #n "\n\t"
#define LOOP(name, GROUP, v, half, width)                                                                               \
  static void name(char *out, const char *in, size_t bytes) {                                                           \
    char lanes[width] __attribute__((aligned(width))) = {0}, room[width] __attribute__((aligned(width)));               \
    (void)out, (void)in;                                                                                                \
    size_t turns = bytes / (4 * width);                                                                                 \
    if (turns == 0) return;                                                                                             \
    __asm__ volatile(CLEAR(0) CLEAR(1) CLEAR(2) CLEAR(3) CLEAR(4) CLEAR(5) CLEAR(6) CLEAR(10) CLEAR(11)                 \
                     "1:\n\t" GROUP(v, half) GROUP(v, half) GROUP(v, half) GROUP(v, half) "dec %[turns]\n\t"            \
                     "jnz 1b\n\tvzeroupper"                                                                             \
                     : [turns] "+r"(turns)                                                                              \
                     : [in] "r"(lanes), [room] "r"(room)                                                                \
                     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm8", "xmm9", "xmm10", \
                       "xmm11");                                                                                        \
  }
#define LOOPS(name, GROUP)                    \
  LOOP(name##_256, GROUP, "ymm", xmm, 32) \
  LOOP(name##_512, GROUP, "zmm", ymm, 64)
LOOPS(largest, LARGEST)
LOOPS(sum, SUM)
LOOPS(share, SHARE)
LOOPS(kept_share, KEPT_SHARE)
LOOPS(log_share, LOG_SHARE)

/* In the order of native.LOOPS; with registers of 256 bits and of 512. */
typedef void loop(char *, const char *, size_t);
static loop *const ARITHMETIC[][2] = {
    {largest_256, largest_512},       {sum_256, sum_512},           {share_256, share_512},
    {kept_share_256, kept_share_512}, {log_share_256, log_share_512},
};

/* NULL where this machine has no such instructions. */
static loop *arithmetic(int which) {
  if (__builtin_cpu_supports("avx512f")) return ARITHMETIC[which][1];
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? ARITHMETIC[which][0] : NULL;
}
#else
typedef void loop(char *, const char *, size_t);
static loop *arithmetic(int which) {
  (void)which;
  return NULL;
}
#endif
