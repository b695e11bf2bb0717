/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic that the kernels (Sources/XentKernels, NUMERICS.md) do for so many elements of f32, in loops in which no
 * operation waits for another one or for memory: faster than this the same operations are in no order. native.c times them
 * like passes over arrays of these elements.
 *
 * Registers 0 and 1, which are 0, are read, 2 and 3 written, and none of what is written is read. */
#if defined(__AVX512F__)
#define REGISTER "%%zmm"
#define HALF "%%ymm"
#define JOIN "vinsertf64x4 $1,%%ymm1,%%zmm0,%%zmm3\n\t"
#elif defined(__AVX2__) && defined(__FMA__)
#define REGISTER "%%ymm"
#define HALF "%%xmm"
#define JOIN "vinsertf128 $1,%%xmm1,%%ymm0,%%ymm3\n\t"
#endif

#if defined(REGISTER)
#define OF_0(operation, to) operation " " REGISTER "0," REGISTER "0," REGISTER #to "\n\t"
#define LARGER "vmaxps (%[in])," REGISTER "0," REGISTER "3\n\t"
#define MULTIPLY OF_0("vmulps", 2)
/* By the same unit: an fma writes over one of its operands, and so waits for the last one. */
#define FMA MULTIPLY
#define ADD OF_0("vaddps", 3)
#define ADD_INTEGERS OF_0("vpaddd", 3)
#define SHIFT "vpslld $20," REGISTER "0," REGISTER "3\n\t"
#define LOOK_UP "vpermps " REGISTER "0," REGISTER "1," REGISTER "3\n\t"
#define LOAD "vmovaps (%[in])," REGISTER "2\n\t"
#define STORE "vmovaps " REGISTER "0,(%[room])\n\t"

/* An exponential's exponent and what is left of x, its scale, and exp of what is left, less 1. */
#define REDUCE LARGER FMA ADD FMA FMA
#define SCALE LOOK_UP SHIFT ADD_INTEGERS
#define EXPM1 FMA FMA MULTIPLY FMA
#define SUM REDUCE SCALE EXPM1 ADD ADD ADD FMA ADD
/* Probabilities, each its exponential times an entry of a table; and of a sum's terms that were kept for them. */
#define SHARE REDUCE LOOK_UP ADD SCALE EXPM1 FMA MULTIPLY STORE
#define KEPT_SHARE STORE STORE LOAD LOAD MULTIPLY FMA FMA FMA ADD MULTIPLY STORE
/* Log-probabilities, (x - largest) - loss in f64, by halves. */
#define WIDEN "vcvtps2pd (%[in])," REGISTER "3\n\t"
#define FMA_WIDE OF_0("vmulpd", 2)
#define NARROW "vcvtpd2ps " REGISTER "0," HALF "3\n\t"
#define DIFFERENCE WIDEN FMA_WIDE FMA_WIDE NARROW
#define LOG_SHARE DIFFERENCE DIFFERENCE JOIN STORE

#define LOOP(name, GROUP)                                                                                        \
  static void name(char *out, const char *in, size_t bytes) {                                                    \
    lane lanes = {0}, room;                                                                                      \
    size_t turns = bytes / (4 * sizeof lanes);                                                                   \
    (void)out, (void)in;                                                                                         \
    if (turns == 0) return;                                                                                      \
    __asm__ volatile("vpxor %%xmm0,%%xmm0,%%xmm0\n\tvpxor %%xmm1,%%xmm1,%%xmm1\n\t"                              \
                     "1:\n\t" GROUP GROUP GROUP GROUP "dec %[turns]\n\tjnz 1b\n\tvzeroupper"                     \
                     : [turns] "+r"(turns)                                                                       \
                     : [in] "r"(&lanes), [room] "r"(&room)                                                       \
                     : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3");                                          \
  }
LOOP(largest_loop, LARGER)
LOOP(sum_loop, SUM)
LOOP(share_loop, SHARE)
LOOP(kept_share_loop, KEPT_SHARE)
LOOP(log_share_loop, LOG_SHARE)
#define LOOPS largest_loop, sum_loop, share_loop, kept_share_loop, log_share_loop
#else
#define LOOPS NULL, NULL, NULL, NULL, NULL
#endif
