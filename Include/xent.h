/* SPDX-License-Identifier: Apache-2.0
 *
 * xent.h - softmax, log-softmax, log-sum-exp and the cross-entropy loss, with gradients, over plain float arrays.
 *
 *   #include <xent.h>                                  cc main.c $(pkg-config --cflags --libs xent)
 *
 *   const float logits[3][3] = {{1, 2, 7}, {4, 7, 9}, {8, 3, 4}};
 *   const int64_t targets[3] = {2, 2, 0};
 *   float loss;
 *   if (xent_cross_entropy_f32(&logits[0][0], targets, 3, 3, NULL, -100, XENT_REDUCTION_MEAN, &loss) != XENT_OK)
 *     puts(xent_last_error());                         // loss is 0.0556 nats
 *
 * Conventions, which hold for every function below
 *
 *   Shapes      Arrays are contiguous and row-major. [rows, classes] is rows * classes elements, the classes of one row
 *               next to each other; [rows] and [classes] are one element each; a scalar is one element. Sizes are
 *               int64_t counts of elements. rows * classes may exceed 2^31.
 *   Units       Every logarithm is natural: losses, log-probabilities and log-sum-exps are in nats.
 *   Order       Inputs, sizes, options, outputs. _f32 functions take float, _f64 functions take double; the text of the
 *               _f32 function holds for its _f64 sibling word for word.
 *   NULL        A pointer may be NULL where the text says so, and wherever the array has no elements (rows or classes
 *               is zero). Any other NULL is XENT_ERR_NULL. Arrays need only the alignment of their element type.
 *   Overlap     An output never overlaps an input or another output, except that it may be exactly the same array as
 *               an input (in place) where the text says "may be". Otherwise XENT_ERR_OVERLAP.
 *   Errors      Every function that can fail returns an xent_status. On any status but XENT_OK nothing has been
 *               written, and xent_last_error() says which argument, which row and which value were wrong.
 *   Exactness   f32 results are within 1 ulp of the exact value of the formula for the given inputs, f64 within 2,
 *               whatever the magnitude; a loss of 1e-30 is right, not 0. Where terms can cancel the ulp is that of a
 *               larger number: of 1 for a logsumexp nearer to 0, of the terms for log_softmax_grad and for a loss
 *               reduced with weights of both signs. The bits are the same at every CPU level and for every number of
 *               threads.
 *   Non-finite  -inf is a mask: a class of probability 0. A row that holds +inf, or nothing but -inf, has no softmax:
 *               its probabilities, log-probabilities and loss are NaN. A NaN makes its own row NaN, and a reduced loss.
 *   Threads     Any number of threads may call at once. The library may use threads of its own; see
 *               xent_set_num_threads. It never prints, exits, aborts, raises a signal, or writes errno for the caller
 *               to see; after fork() the child may go on calling it.
 *   Arithmetic  The calling thread's floating-point environment is taken as the default one: rounding to nearest, and
 *               subnormal numbers not flushed to zero. Another one gives other results.
 *   Stability   Within major version 1 functions are added, never changed or removed. A minor version may add functions
 *               and status codes; treat an unknown status as an error.
 */
#ifndef XENT_H
#define XENT_H

#include <stdint.h>

#define XENT_VERSION_MAJOR 1
#define XENT_VERSION_MINOR 0
#define XENT_VERSION_PATCH 0
/* The version of this header; xent_version() gives that of the library that was loaded. */
#define XENT_VERSION (XENT_VERSION_MAJOR * 10000 + XENT_VERSION_MINOR * 100 + XENT_VERSION_PATCH)

/* Clang and Swift learn from this that a pointer may be NULL (see "NULL" above); other compilers do without. */
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-extension"
#define XENT_NULLABLE _Nullable
#define XENT_NONNULL _Nonnull
#else
#define XENT_NULLABLE
#define XENT_NONNULL
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status --------------------------------------------------------------------------------------------------- */

/* What a call came to: one of the XENT_OK, XENT_ERR_... values. */
typedef int32_t xent_status;

enum {
  XENT_OK = 0,           /* the outputs have been written */
  XENT_ERR_NULL = 1,     /* a pointer that is needed is NULL */
  XENT_ERR_SIZE = 2,     /* a size is negative, or the array would not fit in the address space */
  XENT_ERR_TARGET = 3,   /* a target is outside [0, classes) and is not ignore_index */
  XENT_ERR_OPTION = 4,   /* an option (reduction, number of threads) has a value that does not exist */
  XENT_ERR_OVERLAP = 5,  /* an output overlaps another array in a way that is not allowed */
  XENT_ERR_NO_MEMORY = 6 /* memory or threads could not be had (only xent_set_num_threads) */
};

/* One English sentence for a status, also for an unknown one. Never NULL; static, not to be freed. */
const char *XENT_NONNULL xent_status_string(xent_status status);

/* The detail of the last error in the calling thread: function, argument, row and value, e.g.
 *   "xent_cross_entropy_f32: targets[1] is 7, not in [0, 3) and not ignore_index (-100)".
 * "" before the first error. Like errno it is not cleared by success. Never NULL; valid until the next error in the
 * same thread; not to be freed. */
const char *XENT_NONNULL xent_last_error(void);

/* ---- Options -------------------------------------------------------------------------------------------------- */

/* How per-row losses become the output `loss`; passed as int32_t and checked. */
enum {
  XENT_REDUCTION_NONE = 0, /* loss is [rows]: each row's own */
  XENT_REDUCTION_MEAN = 1, /* loss is a scalar: the sum divided by the sum of the weights of the targets that count */
  XENT_REDUCTION_SUM = 2   /* loss is a scalar: the sum */
};

/* The usual ignore_index: rows with this target do not count. */
#define XENT_IGNORE_INDEX (-100)

/* ---- Softmax, log-softmax, log-sum-exp ------------------------------------------------------------------------ */

/* Softmax: the probability of each class.
 *
 *   probs[i][j] = exp(logits[i][j]) / sum over k of exp(logits[i][k])
 *
 * logits  [rows, classes]
 * probs   [rows, classes], out; may be logits
 * Errors  XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_OVERLAP. */
xent_status xent_softmax_f32(const float *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                             float *XENT_NULLABLE probs);
xent_status xent_softmax_f64(const double *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                             double *XENT_NULLABLE probs);

/* Log-softmax: the log-probability of each class.
 *
 *   log_probs[i][j] = logits[i][j] - log(sum over k of exp(logits[i][k]))
 *
 * logits     [rows, classes]
 * log_probs  [rows, classes], out; may be logits. A masked class (-inf) gives -inf.
 * Errors     XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_OVERLAP. */
xent_status xent_log_softmax_f32(const float *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                                 float *XENT_NULLABLE log_probs);
xent_status xent_log_softmax_f64(const double *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                                 double *XENT_NULLABLE log_probs);

/* Log-sum-exp ("lse").
 *
 *   lse[i] = log(sum over k of exp(logits[i][k]))
 *
 * logits  [rows, classes]
 * lse     [rows], out. -inf for a row of nothing but -inf and for zero classes; +inf for a row with +inf and no NaN.
 * Errors  XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_OVERLAP. */
xent_status xent_logsumexp_f32(const float *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                               float *XENT_NULLABLE lse);
xent_status xent_logsumexp_f64(const double *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                               double *XENT_NULLABLE lse);

/* ---- Losses --------------------------------------------------------------------------------------------------- */

/* Negative log-likelihood of log-probabilities (torch.nn.functional.nll_loss).
 *
 *   row loss   l[i] = -w[targets[i]] * log_probs[i][targets[i]]     and 0 where targets[i] == ignore_index
 *   none       loss[i] = l[i]
 *   sum        loss[0] = sum of l
 *   mean       loss[0] = sum of l / sum of w[targets[i]] over the rows that are not ignored
 *
 * log_probs     [rows, classes]; only the targets' entries are read
 * targets       [rows], each in [0, classes) or equal to ignore_index
 * weight        [classes], the weight w of each class, taken as it is (zero, negative and NaN included);
 *               may be NULL: every weight is 1
 * ignore_index  rows with this target do not count: loss 0, not part of the mean. Any value, also one inside
 *               [0, classes); XENT_IGNORE_INDEX (-100) is usual
 * reduction     XENT_REDUCTION_NONE, _MEAN or _SUM
 * loss          [rows] for none, otherwise a scalar; out. The sum over no rows is 0, the mean over no rows is NaN, as
 *               in PyTorch; weights that sum to 0 are divided by all the same. Reduced losses are added up in f64,
 *               compensated, in a fixed order.
 * Errors        XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_TARGET, XENT_ERR_OPTION, XENT_ERR_OVERLAP. */
xent_status xent_nll_f32(const float *XENT_NULLABLE log_probs, const int64_t *XENT_NULLABLE targets, int64_t rows,
                         int64_t classes, const float *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                         float *XENT_NULLABLE loss);
xent_status xent_nll_f64(const double *XENT_NULLABLE log_probs, const int64_t *XENT_NULLABLE targets, int64_t rows,
                         int64_t classes, const double *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                         double *XENT_NULLABLE loss);

/* Cross-entropy of logits (torch.nn.functional.cross_entropy): log-softmax and negative log-likelihood in one pass.
 *
 *   row loss   l[i] = w[t] * log(1 + sum over k != t of exp(logits[i][k] - logits[i][t])),   t = targets[i]
 *   reduced as in xent_nll_f32
 *
 * logits  [rows, classes]; the rows of ignored targets are not read
 * Otherwise like xent_nll_f32: targets, weight, ignore_index, reduction, loss, errors. */
xent_status xent_cross_entropy_f32(const float *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                   int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                   int64_t ignore_index, int32_t reduction, float *XENT_NULLABLE loss);
xent_status xent_cross_entropy_f64(const double *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                   int64_t rows, int64_t classes, const double *XENT_NULLABLE weight,
                                   int64_t ignore_index, int32_t reduction, double *XENT_NULLABLE loss);

/* ---- Gradients ------------------------------------------------------------------------------------------------ */

/* Cross-entropy and its gradient in one call.
 *
 *   grad_logits[i][j] = c[i] * (p[i][j] - (j == t)),    p = softmax(logits),  t = targets[i]
 *   c[i] = w[t]                    for none and sum (for none it is the gradient of the sum)
 *   c[i] = w[t] / sum of w[t]      for mean
 *
 * and 0 in the rows of ignored targets. The entry at the target is computed as -c * (the sum of the other
 * probabilities), never as p - 1, so that it is exact where p is nearly 1.
 *
 * loss         as in xent_cross_entropy_f32, the same bits; may be NULL: not wanted
 * grad_logits  [rows, classes], out; may be logits
 * Otherwise like xent_cross_entropy_f32. */
xent_status xent_cross_entropy_grad_f32(const float *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                        int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                        int64_t ignore_index, int32_t reduction, float *XENT_NULLABLE loss,
                                        float *XENT_NULLABLE grad_logits);
xent_status xent_cross_entropy_grad_f64(const double *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                        int64_t rows, int64_t classes, const double *XENT_NULLABLE weight,
                                        int64_t ignore_index, int32_t reduction, double *XENT_NULLABLE loss,
                                        double *XENT_NULLABLE grad_logits);

/* Backward of log-softmax: from d loss / d log_probs to d loss / d logits.
 *
 *   grad_logits[i][j] = grad_log_probs[i][j] - exp(log_probs[i][j]) * sum over k of grad_log_probs[i][k]
 *
 * log_probs       [rows, classes], what xent_log_softmax_f32 gave
 * grad_log_probs  [rows, classes]
 * grad_logits     [rows, classes], out; may be log_probs or grad_log_probs
 * Errors          XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_OVERLAP. */
xent_status xent_log_softmax_grad_f32(const float *XENT_NULLABLE log_probs, const float *XENT_NULLABLE grad_log_probs,
                                      int64_t rows, int64_t classes, float *XENT_NULLABLE grad_logits);
xent_status xent_log_softmax_grad_f64(const double *XENT_NULLABLE log_probs, const double *XENT_NULLABLE grad_log_probs,
                                      int64_t rows, int64_t classes, double *XENT_NULLABLE grad_logits);

/* Backward of the negative log-likelihood: d loss / d log_probs, which does not depend on log_probs.
 *
 *   grad_log_probs[i][j] = -c[i] where j == targets[i], otherwise 0;   c as in xent_cross_entropy_grad_f32
 *
 * grad_log_probs  [rows, classes], out
 * Otherwise like xent_nll_f32. */
xent_status xent_nll_grad_f32(const int64_t *XENT_NULLABLE targets, int64_t rows, int64_t classes,
                              const float *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                              float *XENT_NULLABLE grad_log_probs);
xent_status xent_nll_grad_f64(const int64_t *XENT_NULLABLE targets, int64_t rows, int64_t classes,
                              const double *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                              double *XENT_NULLABLE grad_log_probs);

/* ---- The library ---------------------------------------------------------------------------------------------- */

/* major * 10000 + minor * 100 + patch of the loaded library; compare with XENT_VERSION. */
int32_t xent_version(void);

/* The instruction set that the kernels use: "baseline", "v3" (x86-64-v3: AVX2 and FMA) or "v4" (x86-64-v4: AVX-512); on
 * processors with one level only, "baseline". Chosen once from what the processor has. The environment variable
 * XENT_CPU_LEVEL (one of those words, read once) lowers it and never raises it; any other value is ignored. Static, not
 * to be freed. Results do not depend on it. */
const char *XENT_NONNULL xent_cpu_level(void);

/* Sets how many threads a call may use, the caller's own included, for the whole process.
 *
 * num_threads  1 keeps every call in its own thread; 0 is automatic: the environment variable XENT_NUM_THREADS (a
 *              number from 1 to XENT_MAX_THREADS; any other value is ignored) or else the processors this process may run on.
 *              Before the first call it is automatic.
 *
 * Small calls stay in the calling thread whatever the number, and of several calls at the same time one at a time uses
 * the library's threads. This is the only function that can run out of memory: it gets what the threads need at once.
 * When threads cannot be had later, calls use fewer; results do not depend on the number.
 * Errors  XENT_ERR_OPTION (negative, or more than XENT_MAX_THREADS), XENT_ERR_NO_MEMORY; the setting is unchanged. */
xent_status xent_set_num_threads(int32_t num_threads);
#define XENT_MAX_THREADS 1024

/* How many threads a call may use now: at least 1, with automatic resolved to a number. */
int32_t xent_get_num_threads(void);

#ifdef __cplusplus
}
#endif

#if defined(__clang__)
#pragma clang diagnostic pop
#endif
#endif /* XENT_H */
