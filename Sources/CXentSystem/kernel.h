/* The boundary between the runtime and the kernels, in C so that no Swift type crosses it: a public Swift type would
 * bring helper functions that the linker merges across CPU levels. */
#ifndef CXENT_KERNEL_H
#define CXENT_KERNEL_H

#include <math.h>
#include <stdint.h>

/* Always inlined: out of line a function would have one name at every CPU level. */
#define XENTK_INLINE static inline __attribute__((always_inline))

/* The rows of the kernel table. */
typedef int32_t xentk_operation;
enum {
  XENTK_SOFTMAX,
  XENTK_LOG_SOFTMAX,
  XENTK_LOGSUMEXP,
  XENTK_LOG_SOFTMAX_GRAD,
  XENTK_NLL,
  XENTK_NLL_GRAD,
  XENTK_CROSS_ENTROPY,
  XENTK_CROSS_ENTROPY_GRAD
};

/* The columns of the kernel table. */
typedef int32_t xentk_dtype;
enum { XENTK_F32, XENTK_F64 };

/* One checked call. Kernels trust every field. R = rows, C = classes, E = element of the dtype. */
typedef struct xentk_problem {
  xentk_operation operation;
  xentk_dtype dtype;
  int64_t rows, classes;
  const void *_Nullable input;      /* (R, C) E: logits, or log_probs */
  const void *_Nullable grad_input; /* (R, C) E: grad_log_probs */
  const int64_t *_Nullable targets; /* (R) */
  const void *_Nullable weight;     /* (C) E, NULL: all 1 */
  int64_t ignore_index;
  int32_t reduction;
  /* What the gradient is divided by: the sum of the targets' weights for a mean, otherwise 1; (hi + lo)·2^exponent. */
  double divisor_hi, divisor_lo, divisor_exponent;
  void *_Nullable output;   /* (R, C) E, or (R) E for logsumexp; NULL where the loss is all that is wanted */
  void *_Nullable row_loss; /* (R) E, NULL: not wanted */
} xentk_problem;

/* A sum of losses (or weights), unrounded: hi + lo + (huge_hi + huge_lo)·2^1100 + (tiny_hi + tiny_lo)·2^-1100. What is
 * 2^900 and more, or less than 2^-900, goes apart, so that a sum may leave the format where its mean does not. */
typedef struct xentk_loss {
  double hi, lo, huge_hi, huge_lo, tiny_hi, tiny_lo;
} xentk_loss;

/* *hi + *lo += value + low, compensated (Neumaier 1974); infinities and NaN come through. */
XENTK_INLINE void xentk_add(double *_Nonnull hi, double *_Nonnull lo, double value, double low) {
  double sum = *hi + value;
  if (__builtin_isfinite(sum)) {
    double part = sum - *hi;
    *lo += (*hi - (sum - part)) + (value - part) + low;
  } else {
    *lo = 0;
  }
  *hi = sum;
}

/* value·2^exponent with one rounding; exponent whole. */
XENTK_INLINE double xentk_scale(double value, double exponent) {
  return scalbn(value, exponent < -9999 ? -9999 : exponent > 9999 ? 9999 : (int)exponent);
}

/* value as a mantissa in [½, 1) and the exponent that goes with it; value finite and not 0. */
XENTK_INLINE double xentk_mantissa(double value, double *_Nonnull exponent) {
  int e;
  double mantissa = frexp(value, &e);
  *exponent = e;
  return mantissa;
}

/* Rows are worked on in at most this many runs, whatever the number of threads; their losses are added in order. */
enum { XENTK_SEGMENTS = 128 };
typedef struct xentk_losses {
  xentk_loss of[XENTK_SEGMENTS];
} xentk_losses;

/* Memory that a kernel may write over: XENTK_SCRATCH bytes each, aligned to 16. */
enum { XENTK_SCRATCH = 1024 };
typedef struct xentk_scratch {
  void *_Nonnull strip;
  void *_Nonnull states;
} xentk_scratch;

/* Works on rows [first, last) and adds their losses to *loss. */
typedef void (*xentk_kernel)(const xentk_problem *_Nonnull problem, int64_t first, int64_t last,
                             const xentk_scratch *_Nonnull scratch, xentk_loss *_Nonnull loss);

/* One table per CPU level; defined by the module XentKernels and its twins (Entry.swift). */
xentk_kernel _Nullable xentk_kernel_baseline(xentk_operation operation, xentk_dtype dtype);
xentk_kernel _Nullable xentk_kernel_v3(xentk_operation operation, xentk_dtype dtype);
xentk_kernel _Nullable xentk_kernel_v4(xentk_operation operation, xentk_dtype dtype);

/* ---- What Swift cannot say in one instruction -------------------------------------------------------------------- */

typedef int32_t xentk_int8lanes __attribute__((vector_size(32)));

/* table[index & 7] in every lane. */
XENTK_INLINE xentk_int8lanes xentk_lookup(xentk_int8lanes table,
                                                                          xentk_int8lanes index) {
#if defined(__AVX2__)
  typedef int v8si __attribute__((vector_size(32)));
  return (xentk_int8lanes)__builtin_ia32_permvarsi256((v8si)table, (v8si)index);
#else
  xentk_int8lanes result;
  for (int lane = 0; lane < 8; lane++) result[lane] = table[index[lane] & 7];
  return result;
#endif
}

#endif
