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
 *   Two tiers   Functions whose name ends in a dtype take plain pointers to contiguous rows: the usual case. The
 *               others take descriptors (xent_tensor, xent_options, xent_outputs): any layout, any dtype, every option,
 *               and any number of outputs from one pass.
 *   Order       Inputs, sizes, options, outputs. _f32 functions take float, _f64 double, _f16 (IEEE half precision) and
 *               _bf16 (bfloat16) their bits as uint16_t. The text of the _f32 function holds for its siblings, but that
 *               for the 16-bit types losses, lse and weight are float: a loss in bf16 would have two or three digits.
 *   NULL        A pointer may be NULL where the text says so, and wherever the array has no elements (rows or classes
 *               is zero). Any other NULL is XENT_ERR_NULL. Arrays need only the alignment of their element type.
 *   Overlap     An output never overlaps an input or another output, except that it may be exactly the same array as
 *               an input (in place) where the text says "may be". Otherwise XENT_ERR_OVERLAP.
 *   Errors      Every function that can fail returns an xent_status. On any status but XENT_OK nothing has been
 *               written, and xent_last_error() says which argument, which row and which value were wrong.
 *   Exactness   f32 results are within 1 ulp of the exact value of the formula for the given inputs, f64 within 2,
 *               whatever the magnitude; a loss of 1e-30 is right, not 0. f16 and bf16 results are the correctly rounded
 *               value in at least 99.9 %, otherwise its neighbour. Where terms can cancel the ulp is that of a larger
 *               number: of 1 for a logsumexp nearer to 0 and the z-loss of it, of the terms for log_softmax_grad and
 *               softmax_grad, for a loss reduced with weights of both signs, and for gradients of soft targets and
 *               divergences. In f64 the binary loss, the entropy, the divergences and what takes an option beyond weight
 *               and ignore_index (focal_gamma up to 8) are within 16 ulp, where they are not at the ends of the format
 *               (about 1e-280 and 1e280). The bits are the same at every CPU level, for every number of threads, in
 *               every layout, and whatever else is asked for.
 *   Non-finite  -inf is a mask: a class of probability 0. A row that holds +inf, or nothing but -inf, has no softmax:
 *               its probabilities, log-probabilities and loss are NaN. A NaN makes its own row NaN, and a reduced loss.
 *   Threads     Any number of threads may call at once. The library may use threads of its own; see
 *               xent_set_num_threads. It never prints, exits, aborts, raises a signal, or writes errno for the caller
 *               to see; after fork() the child may go on calling it.
 *   Arithmetic  Results are those of rounding to nearest, with subnormal numbers and without traps, whatever the calling
 *               thread has set; its rounding mode, flush-to-zero, traps, exception flags and errno stay as they were.
 *   Stability   Within major version 1 functions are added, never changed or removed. A minor version may add
 *               functions, status codes, dtypes, and fields at the end of a struct; treat an unknown status as an error.
 */
#ifndef XENT_H
#define XENT_H

#include <stddef.h>
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
  XENT_ERR_SIZE = 2,     /* a size is negative, does not fit the other tensors', or is more than the address space */
  XENT_ERR_TARGET = 3,   /* a target is outside [0, classes) and is not ignore_index */
  XENT_ERR_OPTION = 4,   /* an option has a value that does not exist or is out of range */
  XENT_ERR_OVERLAP = 5,  /* an output overlaps another array in a way that is not allowed */
  XENT_ERR_NO_MEMORY = 6, /* memory or threads could not be had (only xent_set_num_threads) */
  XENT_ERR_DTYPE = 7,    /* a tensor's dtype does not exist, or is not one that this argument can have */
  XENT_ERR_UNSUPPORTED = 8 /* two things that do not go together, or a struct of a newer version; the text says which */
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
  XENT_REDUCTION_SUM = 2,  /* loss is a scalar: the sum */
  XENT_REDUCTION_MEAN_ROWS = 3 /* loss is a scalar: the sum divided by the number of rows that count, weights or not */
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
xent_status xent_softmax_f16(const uint16_t *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                             uint16_t *XENT_NULLABLE probs);
xent_status xent_softmax_bf16(const uint16_t *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                              uint16_t *XENT_NULLABLE probs);

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
xent_status xent_log_softmax_f16(const uint16_t *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                                 uint16_t *XENT_NULLABLE log_probs);
xent_status xent_log_softmax_bf16(const uint16_t *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                                  uint16_t *XENT_NULLABLE log_probs);

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
xent_status xent_logsumexp_f16(const uint16_t *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                               float *XENT_NULLABLE lse);
xent_status xent_logsumexp_bf16(const uint16_t *XENT_NULLABLE logits, int64_t rows, int64_t classes,
                                float *XENT_NULLABLE lse);

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
 * reduction     XENT_REDUCTION_NONE, _MEAN, _SUM or _MEAN_ROWS
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
xent_status xent_nll_f16(const uint16_t *XENT_NULLABLE log_probs, const int64_t *XENT_NULLABLE targets, int64_t rows,
                         int64_t classes, const float *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                         float *XENT_NULLABLE loss);
xent_status xent_nll_bf16(const uint16_t *XENT_NULLABLE log_probs, const int64_t *XENT_NULLABLE targets, int64_t rows,
                          int64_t classes, const float *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                          float *XENT_NULLABLE loss);

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
xent_status xent_cross_entropy_f16(const uint16_t *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                   int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                   int64_t ignore_index, int32_t reduction, float *XENT_NULLABLE loss);
xent_status xent_cross_entropy_bf16(const uint16_t *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                    int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                    int64_t ignore_index, int32_t reduction, float *XENT_NULLABLE loss);

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
xent_status xent_cross_entropy_grad_f16(const uint16_t *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                        int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                        int64_t ignore_index, int32_t reduction, float *XENT_NULLABLE loss,
                                        uint16_t *XENT_NULLABLE grad_logits);
xent_status xent_cross_entropy_grad_bf16(const uint16_t *XENT_NULLABLE logits, const int64_t *XENT_NULLABLE targets,
                                         int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                         int64_t ignore_index, int32_t reduction, float *XENT_NULLABLE loss,
                                         uint16_t *XENT_NULLABLE grad_logits);

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
xent_status xent_log_softmax_grad_f16(const uint16_t *XENT_NULLABLE log_probs,
                                      const uint16_t *XENT_NULLABLE grad_log_probs, int64_t rows, int64_t classes,
                                      uint16_t *XENT_NULLABLE grad_logits);
xent_status xent_log_softmax_grad_bf16(const uint16_t *XENT_NULLABLE log_probs,
                                       const uint16_t *XENT_NULLABLE grad_log_probs, int64_t rows, int64_t classes,
                                       uint16_t *XENT_NULLABLE grad_logits);

/* Backward of softmax: from d loss / d probs to d loss / d logits.
 *
 *   grad_logits[i][j] = probs[i][j] * (grad_probs[i][j] - sum over k of probs[i][k] * grad_probs[i][k])
 *
 * probs        [rows, classes], what xent_softmax_f32 gave
 * grad_probs   [rows, classes]
 * grad_logits  [rows, classes], out; may be probs or grad_probs
 * Errors       XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_OVERLAP. */
xent_status xent_softmax_grad_f32(const float *XENT_NULLABLE probs, const float *XENT_NULLABLE grad_probs,
                                  int64_t rows, int64_t classes, float *XENT_NULLABLE grad_logits);
xent_status xent_softmax_grad_f64(const double *XENT_NULLABLE probs, const double *XENT_NULLABLE grad_probs,
                                  int64_t rows, int64_t classes, double *XENT_NULLABLE grad_logits);
xent_status xent_softmax_grad_f16(const uint16_t *XENT_NULLABLE probs, const uint16_t *XENT_NULLABLE grad_probs,
                                  int64_t rows, int64_t classes, uint16_t *XENT_NULLABLE grad_logits);
xent_status xent_softmax_grad_bf16(const uint16_t *XENT_NULLABLE probs, const uint16_t *XENT_NULLABLE grad_probs,
                                   int64_t rows, int64_t classes, uint16_t *XENT_NULLABLE grad_logits);

/* Backward of log-sum-exp: from d loss / d lse to d loss / d logits.
 *
 *   grad_logits[i][j] = grad_lse[i] * exp(logits[i][j]) / sum over k of exp(logits[i][k])
 *
 * logits       [rows, classes]
 * grad_lse     [rows]
 * grad_logits  [rows, classes], out; may be logits
 * Errors       XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_OVERLAP. */
xent_status xent_logsumexp_grad_f32(const float *XENT_NULLABLE logits, const float *XENT_NULLABLE grad_lse,
                                    int64_t rows, int64_t classes, float *XENT_NULLABLE grad_logits);
xent_status xent_logsumexp_grad_f64(const double *XENT_NULLABLE logits, const double *XENT_NULLABLE grad_lse,
                                    int64_t rows, int64_t classes, double *XENT_NULLABLE grad_logits);
xent_status xent_logsumexp_grad_f16(const uint16_t *XENT_NULLABLE logits, const float *XENT_NULLABLE grad_lse,
                                    int64_t rows, int64_t classes, uint16_t *XENT_NULLABLE grad_logits);
xent_status xent_logsumexp_grad_bf16(const uint16_t *XENT_NULLABLE logits, const float *XENT_NULLABLE grad_lse,
                                     int64_t rows, int64_t classes, uint16_t *XENT_NULLABLE grad_logits);

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
xent_status xent_nll_grad_f16(const int64_t *XENT_NULLABLE targets, int64_t rows, int64_t classes,
                              const float *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                              uint16_t *XENT_NULLABLE grad_log_probs);
xent_status xent_nll_grad_bf16(const int64_t *XENT_NULLABLE targets, int64_t rows, int64_t classes,
                               const float *XENT_NULLABLE weight, int64_t ignore_index, int32_t reduction,
                               uint16_t *XENT_NULLABLE grad_log_probs);

/* Binary cross-entropy with logits, for multi-label targets (torch.nn.functional.binary_cross_entropy_with_logits).
 *
 *   l[i][j] = weight[j] * (pos_weight[j] * y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x)))
 *             x = logits[i][j],  y = targets[i][j];  a factor of 0 makes 0 of an infinite logarithm
 *
 * logits      [rows, classes]
 * targets     [rows, classes]: 0 or 1, or anything between
 * weight      [classes]; may be NULL: every weight is 1. (One for each element: xent_binary_cross_entropy.)
 * pos_weight  [classes]; may be NULL: every weight is 1
 * reduction   XENT_REDUCTION_NONE, _MEAN (divided by rows * classes, weights or not), _SUM or _MEAN_ROWS (by rows)
 * loss        [rows, classes] for none, otherwise a scalar; out
 * Errors      XENT_ERR_NULL, XENT_ERR_SIZE, XENT_ERR_OPTION, XENT_ERR_OVERLAP. */
xent_status xent_binary_cross_entropy_f32(const float *XENT_NULLABLE logits, const float *XENT_NULLABLE targets,
                                          int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                          const float *XENT_NULLABLE pos_weight, int32_t reduction,
                                          float *XENT_NULLABLE loss);
xent_status xent_binary_cross_entropy_f64(const double *XENT_NULLABLE logits, const double *XENT_NULLABLE targets,
                                          int64_t rows, int64_t classes, const double *XENT_NULLABLE weight,
                                          const double *XENT_NULLABLE pos_weight, int32_t reduction,
                                          double *XENT_NULLABLE loss);
xent_status xent_binary_cross_entropy_f16(const uint16_t *XENT_NULLABLE logits, const uint16_t *XENT_NULLABLE targets,
                                          int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                          const float *XENT_NULLABLE pos_weight, int32_t reduction,
                                          float *XENT_NULLABLE loss);
xent_status xent_binary_cross_entropy_bf16(const uint16_t *XENT_NULLABLE logits, const uint16_t *XENT_NULLABLE targets,
                                           int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                           const float *XENT_NULLABLE pos_weight, int32_t reduction,
                                           float *XENT_NULLABLE loss);

/* Binary cross-entropy and its gradient in one call.
 *
 *   grad_logits[i][j] = c * weight[j] * ((1 - y) * s - pos_weight[j] * y * (1 - s)),   s = 1 / (1 + exp(-x))
 *   c = 1 for none (the gradient of the sum) and sum, otherwise 1 divided by what the mean divides by
 *
 * loss         as in xent_binary_cross_entropy_f32, the same bits; may be NULL: not wanted
 * grad_logits  [rows, classes], out; may be logits
 * Otherwise like xent_binary_cross_entropy_f32. */
xent_status xent_binary_cross_entropy_grad_f32(const float *XENT_NULLABLE logits, const float *XENT_NULLABLE targets,
                                               int64_t rows, int64_t classes, const float *XENT_NULLABLE weight,
                                               const float *XENT_NULLABLE pos_weight, int32_t reduction,
                                               float *XENT_NULLABLE loss, float *XENT_NULLABLE grad_logits);
xent_status xent_binary_cross_entropy_grad_f64(const double *XENT_NULLABLE logits, const double *XENT_NULLABLE targets,
                                               int64_t rows, int64_t classes, const double *XENT_NULLABLE weight,
                                               const double *XENT_NULLABLE pos_weight, int32_t reduction,
                                               double *XENT_NULLABLE loss, double *XENT_NULLABLE grad_logits);
xent_status xent_binary_cross_entropy_grad_f16(const uint16_t *XENT_NULLABLE logits,
                                               const uint16_t *XENT_NULLABLE targets, int64_t rows, int64_t classes,
                                               const float *XENT_NULLABLE weight, const float *XENT_NULLABLE pos_weight,
                                               int32_t reduction, float *XENT_NULLABLE loss,
                                               uint16_t *XENT_NULLABLE grad_logits);
xent_status xent_binary_cross_entropy_grad_bf16(const uint16_t *XENT_NULLABLE logits,
                                                const uint16_t *XENT_NULLABLE targets, int64_t rows, int64_t classes,
                                                const float *XENT_NULLABLE weight,
                                                const float *XENT_NULLABLE pos_weight, int32_t reduction,
                                                float *XENT_NULLABLE loss, uint16_t *XENT_NULLABLE grad_logits);

/* ---- Descriptors ---------------------------------------------------------------------------------------------- */

/* What a tensor's elements are. Zero is none of them, so that a forgotten field is noticed. */
typedef int32_t xent_dtype;
enum {
  XENT_F32 = 1,  /* float */
  XENT_F64 = 2,  /* double */
  XENT_F16 = 3,  /* IEEE 754 half precision, 16 bits */
  XENT_BF16 = 4, /* bfloat16: the upper 16 bits of a float */
  XENT_I8 = 5,
  XENT_I16 = 6,
  XENT_I32 = 7,
  XENT_I64 = 8,
  XENT_U8 = 9, /* also bool, as one byte */
  XENT_U16 = 10,
  XENT_U32 = 11,
  XENT_U64 = 12
};

/* A view of memory: outer * classes * inner elements, of which
 *
 *   (o, c, i)  lies at  data + o * outer_stride + c * class_stride + i * inner_stride      (strides in elements)
 *
 * A row is the elements of one (o, i); rows are numbered o * inner + i. So (N, C) is outer N, inner 1; (N, C, H, W) is
 * outer N, inner H * W; class-last images (N, H, W, C) are outer N * H * W, inner 1. Strides may be negative, and those
 * of an input may be 0 (broadcast). Where a text below says "per row", classes is 1; where it says "per class", outer
 * and inner are 1.
 *
 * struct_size  sizeof(xent_tensor) of the header the caller was compiled with, here and in every struct below. A
 *              shorter struct than the library's has the defaults in the missing fields; a longer one is refused
 *              (XENT_ERR_UNSUPPORTED) unless the bytes the library does not know are zero.
 * data         element (0, 0, 0), aligned as its type; may be NULL if there are no elements
 * reserved     0 */
typedef struct xent_tensor {
  size_t struct_size;
  void *XENT_NULLABLE data;
  xent_dtype dtype;
  int32_t reserved;
  int64_t outer, classes, inner;
  int64_t outer_stride, class_stride, inner_stride;
} xent_tensor;

/* Initialisers of contiguous tensors: xent_tensor logits = XENT_MATRIX(array, XENT_F32, 8, 1000); */
#define XENT_MATRIX(data, dtype, rows, classes) \
  { sizeof(xent_tensor), (void *)(data), (dtype), 0, (rows), (classes), 1, (classes), 1, 1 }
#define XENT_PER_ROW(data, dtype, rows) \
  { sizeof(xent_tensor), (void *)(data), (dtype), 0, (rows), 1, 1, 1, 1, 1 }
#define XENT_PER_CLASS(data, dtype, classes) \
  { sizeof(xent_tensor), (void *)(data), (dtype), 0, 1, (classes), 1, (classes), 1, 1 }
#define XENT_SCALAR(data, dtype) \
  { sizeof(xent_tensor), (void *)(data), (dtype), 0, 1, 1, 1, 1, 1, 1 }

/* smoothing: how class weights w enter label smoothing. */
enum {
  XENT_SMOOTHING_WEIGHTED = 0, /* (eps / C) * sum over c of w[c] * -log p[c]: PyTorch's */
  XENT_SMOOTHING_UNIFORM = 1   /* (eps / C) * w[t] * sum over c of -log p[c]: labels are smoothed, then rows weighted */
};

/* empty_mean: what a mean over no rows is; masked_row: what a row of nothing but masks is. */
enum {
  XENT_NAN = 0, /* NaN, as in PyTorch */
  XENT_ZERO = 1 /* empty_mean: 0. masked_row: the row does not count, as if its target were ignore_index */
};

/* accuracy: how probabilities and gradients of the logits are made. */
enum {
  XENT_ACCURACY_FAITHFUL = 0, /* as "Exactness" says: within 1 ulp */
  XENT_ACCURACY_FASTEST = 1   /* within 3 ulp; in place and above 2048 classes it takes a quarter to a third less time */
};

/* divergence: what xent_divergence computes, with p the teacher's and q the student's probabilities. */
enum {
  XENT_KL = 0,             /* sum of p * log(p / q) */
  XENT_REVERSE_KL = 1,     /* sum of q * log(q / p) */
  XENT_SOFT_CROSS_ENTROPY = 2, /* sum of -p * log q */
  XENT_JENSEN_SHANNON = 3  /* sum of (p * log(p / m) + q * log(q / m)) / 2, m = (p + q) / 2 */
};

/* Every option. Start from XENT_OPTIONS_INIT, which has the defaults: xent_options o = XENT_OPTIONS_INIT;
 * A NULL xent_options means the same defaults. Not every function takes every option: see "What goes together".
 *
 * Notation: x the logits, z what the options make of them, p = softmax(z), lse = log of the sum of exp(z); C the number
 * of classes that are not masked out, t the target; w[c] = weight[c], or 1. "Floating" is XENT_F32, _F16 or _BF16 where
 * the logits are one of those, and XENT_F64 where they are XENT_F64.
 *
 * What the logits are
 *   temperature      z = x / temperature; > 0, finite. Default 1.
 *   softcap          z = softcap * tanh(x / softcap) / temperature; > 0, finite, or 0: none. Default 0. A mask (-inf)
 *                    stays one. z is formed in f64: for f64 logits the bounds hold for the z so rounded.
 *   class_mask       per class, any integer dtype: z[c] = -inf where it is 0. Such a class has probability 0 and
 *                    gradient 0, and is no part of C or of any sum over classes. A target that is masked out has loss
 *                    +inf, as one whose logit is -inf.
 * Which rows count
 *   ignore_index     rows with this target do not count. Any value, also inside [0, classes). For sparse soft targets,
 *                    entries with this index are none, and rows without entries do not count. Not for probabilities.
 *   row_mask         per row, any integer dtype: rows where it is 0 do not count.
 *   masked_row       XENT_NAN or XENT_ZERO, for rows whose every z is -inf
 *                    A row that does not count has loss 0 and gradient 0 and is no part of a mean.
 * The loss of a row
 *   weight           per class, floating: the weight w of each class; taken as it is (zero, negative, NaN included)
 *   label_smoothing  eps in [0, 1]: l = (1 - eps) * w[t] * -log p[t] + (eps / C) * sum over c of w[c] * -log p[c]
 *                    With probabilities q: they become (1 - eps) * q[c] + eps / C. With -inf anywhere, +inf.
 *   smoothing        XENT_SMOOTHING_WEIGHTED or _UNIFORM; not for soft targets
 *   focal_gamma      gamma >= 0: l = w[t] * (1 - p[t])^gamma * -log p[t]                       (Lin et al. 2017)
 *   poly_epsilon     l = w[t] * (1 - p[t])^gamma * (-log p[t] + poly_epsilon * (1 - p[t]))     (Leng et al. 2022)
 *   z_loss           l += z_loss * lse^2; >= 0. Not weighted.                                  (Chowdhery et al. 2022)
 *   target_probs     sparse soft targets: the probabilities of the indices, floating, of the shape of targets
 *   pos_weight       per class or of the shape of the logits, floating: xent_binary_cross_entropy
 *   divergence       XENT_KL, ...: xent_divergence
 * The reduction
 *   reduction        XENT_REDUCTION_...: of outputs->loss, and of what the gradient is the gradient of. Default mean.
 *   empty_mean       XENT_NAN or XENT_ZERO
 *   grad_loss        floating, per row or a scalar: the upstream gradient g, with which a row's gradient is multiplied
 *                    (xent_binary_cross_entropy: also of the logits' shape)
 * Other inputs and settings
 *   gather           integers (outer, k, inner) in [0, classes): which log-probabilities outputs->gathered is to have
 *   num_threads      the most threads this call may use; 0: as xent_set_num_threads says
 *   accuracy         XENT_ACCURACY_FAITHFUL or _FASTEST. It concerns probs, and grad_logits of xent_softmax and of index
 *                    targets, of f32 and 16-bit logits, without softcap, class_mask, z_loss and label_smoothing; all else
 *                    has the same bits. With _FASTEST an f32 result is within 3 ulp, and one of 16 bits the correctly
 *                    rounded value or its neighbour. Its bits, too, do not depend on threads, level, layout or company.
 *   reserved         0 */
typedef struct xent_options {
  size_t struct_size;
  int32_t reduction, smoothing, empty_mean, masked_row, divergence, num_threads;
  int64_t ignore_index;
  double label_smoothing, temperature, softcap, focal_gamma, poly_epsilon, z_loss;
  const xent_tensor *XENT_NULLABLE weight;
  const xent_tensor *XENT_NULLABLE pos_weight;
  const xent_tensor *XENT_NULLABLE row_mask;
  const xent_tensor *XENT_NULLABLE class_mask;
  const xent_tensor *XENT_NULLABLE target_probs;
  const xent_tensor *XENT_NULLABLE grad_loss;
  const xent_tensor *XENT_NULLABLE gather;
  int32_t accuracy, reserved;
} xent_options;
#define XENT_OPTIONS_INIT                                                                                         \
  { sizeof(xent_options), XENT_REDUCTION_MEAN, XENT_SMOOTHING_WEIGHTED, XENT_NAN, XENT_NAN, XENT_KL, 0,            \
    XENT_IGNORE_INDEX, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, NULL, NULL, NULL, NULL, NULL, NULL, NULL,                     \
    XENT_ACCURACY_FAITHFUL, 0 }

/* Every output. NULL means not wanted; the tensor's data is written in its layout, which must not put two elements in
 * one place. Start from XENT_OUTPUTS_INIT, which wants nothing. All come from one pass over the logits, and one more
 * for those of the logits' shape.
 *
 * Losses, of dtype XENT_F64 for f64 logits and XENT_F32 for all others ("real")
 *   loss             scalar, real: the reduced loss. Not with XENT_REDUCTION_NONE.
 *   row_loss         per row, real: the loss l of each row, before the reduction (xent_binary_cross_entropy: of the
 *                    logits' shape)
 * Of the logits' shape, floating
 *   grad_logits      d loss / d logits; may be the logits' own memory and layout (in place). For reduction none the
 *                    gradient of the sum. xent_softmax: of the sum of grad_loss * lse.
 *   probs            p, 0 in a row of masks with XENT_ZERO; may be in place
 *   log_probs        log p, -inf where p is 0, also in such a row; may be in place
 * Per row, real, whether the row counts or not
 *   lse              log of the sum of exp(z)
 *   entropy          sum of -p * log p, 0 for p = 0
 *   max_logit        the largest z, NaN in a row with NaN
 * Per row, real, 0 where the row does not count
 *   target_log_prob  log p[t]; for index targets
 *   z_loss           z_loss * lse^2, the part of the row's loss
 * Per row, XENT_I64 or XENT_I32
 *   argmax           the first of the largest z (the first NaN, if there is one); -1 for no classes
 *   target_rank      how many z are larger than the target's, or equal and before it: 0 is top-1. -1 where the row does
 *                    not count. For index targets. The comparison with a NaN is false.
 * Of several entries a row: (outer, k, inner)
 *   top_indices      XENT_I64 or XENT_I32: the k classes of the largest z, in order, the first of equals first; NaN
 *                    counts as larger than any number; k up to XENT_MAX_TOP and up to classes
 *   top_log_probs    real: their log-probabilities
 *   gathered         real: the log-probabilities of options->gather
 * For reducing across batches; one element each
 *   correct          rows that count and have argmax = target; for index targets
 *   rows_counted     rows that count (xent_binary_cross_entropy: elements)
 *   loss_sum         the sum of l
 *   weight_sum       what a mean divides by: the sum of w[t] over the rows that count; for soft targets their number.
 *                    The mean over several batches is the sum of their loss_sum over the sum of their weight_sum. */
typedef struct xent_outputs {
  size_t struct_size;
  const xent_tensor *XENT_NULLABLE loss;
  const xent_tensor *XENT_NULLABLE row_loss;
  const xent_tensor *XENT_NULLABLE grad_logits;
  const xent_tensor *XENT_NULLABLE probs;
  const xent_tensor *XENT_NULLABLE log_probs;
  const xent_tensor *XENT_NULLABLE lse;
  const xent_tensor *XENT_NULLABLE entropy;
  const xent_tensor *XENT_NULLABLE max_logit;
  const xent_tensor *XENT_NULLABLE target_log_prob;
  const xent_tensor *XENT_NULLABLE z_loss;
  const xent_tensor *XENT_NULLABLE argmax;
  const xent_tensor *XENT_NULLABLE target_rank;
  const xent_tensor *XENT_NULLABLE top_indices;
  const xent_tensor *XENT_NULLABLE top_log_probs;
  const xent_tensor *XENT_NULLABLE gathered;
  int64_t *XENT_NULLABLE correct;
  int64_t *XENT_NULLABLE rows_counted;
  double *XENT_NULLABLE loss_sum;
  double *XENT_NULLABLE weight_sum;
} xent_outputs;
#define XENT_OUTPUTS_INIT                                                                                     \
  { sizeof(xent_outputs), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
    NULL, NULL, NULL, NULL, NULL }
#define XENT_MAX_TOP 64

/* The caller's own place for the detail of an error; NULL: only xent_last_error(). Written by every call that gets it,
 * also by one that succeeds (status XENT_OK, row -1, value 0, empty text). Set struct_size before the call. */
typedef struct xent_error {
  size_t struct_size;
  xent_status status;
  int32_t reserved;
  int64_t row;       /* the row that is wrong, -1 if it is not a matter of one row */
  int64_t value;     /* the value that is wrong, where it is an integer; otherwise 0 */
  char message[256]; /* as xent_last_error() */
} xent_error;

/* What goes together: + yes, - no: XENT_ERR_UNSUPPORTED, with a text that names the two; a number: see below.
 *
 *                                        xent_softmax  xent_cross_entropy        xent_nll   xent_binary_   xent_
 *                                                      index  sparse  probs      index      cross_entropy  divergence
 *   temperature, softcap, class_mask          +          +      +       +          -            -               +
 *   ignore_index                              -          +      +       1          +            -               -
 *   row_mask                                  2          +      +       +          +            +               +
 *   masked_row                                +          +      +       +          -            -               +
 *   weight                                    -          +      +       +          +            +3              -
 *   label_smoothing                           -          +      +       +          -            -               -
 *   smoothing uniform                         -          +      -       -          -            -               -
 *   focal_gamma, poly_epsilon                 -          4      -       -          -            -               -
 *   z_loss                                    2          +      +       +          -            -               -
 *   target_probs                              -          -      +       -          -            -               -
 *   pos_weight                                -          -      -       -          -            +               -
 *   gather                                    +          +      +       +          -            -               -
 *   divergence                                -          -      -       -          -            -               +
 *   grad_loss                                 +          +      +       +          +            +               +
 *   loss, row_loss, loss_sum                  -          +      +       +          +            +               +
 *   grad_logits                               +          +      +       +          +5           +               +6
 *   weight_sum, rows_counted                  -          +      +       +          +            +               +
 *   probs, log_probs, lse, entropy, argmax,
 *   max_logit, top_..., gathered              +          +      +       +          -            -               -
 *   target_log_prob, target_rank, correct     -          +      -       -          -            -               -
 *   z_loss (output)                           +          +      +       +          -            -               -
 *
 *   1  any ignore_index below 0, which nothing is compared with; one that is not is refused, as in PyTorch
 *   2  rows that do not count have gradient 0 and z_loss 0; there is no loss
 *   3  also of the logits' shape
 *   4  not together with label_smoothing
 *   5  d loss / d log_probs
 *   6  of the student's logits
 *   In every column: loss does not go with XENT_REDUCTION_NONE; f64 does not mix with other floating dtypes. An option
 *   at its default, and an ignore_index where nothing is compared with it, is never refused. */

/* Softmax and what is known of a row without a target: probs, log_probs, lse, entropy, argmax, max_logit, top_...,
 * gathered, and the gradient of lse.
 *
 *   grad_logits = g * (1 + 2 * z_loss * lse) * p * dz/dx        for rows that count; g = grad_loss, or 1
 *
 * Errors  all but XENT_ERR_NO_MEMORY, as for every descriptor function. */
xent_status xent_softmax(const xent_tensor *XENT_NULLABLE logits, const xent_options *XENT_NULLABLE options,
                         const xent_outputs *XENT_NULLABLE outputs, xent_error *XENT_NULLABLE error);

/* Cross-entropy of logits (torch.nn.functional.cross_entropy), with everything above.
 *
 * logits   (outer, classes, inner), XENT_F32, _F64, _F16 or _BF16
 * targets  one of
 *            index          per row, any integer dtype: each in [0, classes) or ignore_index
 *            sparse         (outer, k, inner), any integer dtype, with options->target_probs of the same shape: the
 *                           target's probabilities, 0 for all other classes. Repeated indices add up.
 *            probabilities  of the logits' shape, floating. They need not sum to 1.
 *          With a soft target q (the last two), smoothed as above:
 *            l = sum over c of w[c] * q[c] * -log p[c]      q[c] = 0 contributes 0, also where z[c] is -inf
 *
 *   grad_logits[c] = (g / d) * ((sum of a + 2 * z_loss * lse) * p[c] - a[c]) * dz/dx
 *                    a[c] the factor of -log p[c] in l;  g = grad_loss or 1;  d what the reduction divides by
 *   and with focal_gamma or poly_epsilon (g / d) * w[t] * F'(-log p[t]) * (p[c] - (c == t)), F the row's loss.
 *
 * The mean of index targets divides by the sum of w[t], that of soft targets by the number of rows that count. */
xent_status xent_cross_entropy(const xent_tensor *XENT_NULLABLE logits, const xent_tensor *XENT_NULLABLE targets,
                               const xent_options *XENT_NULLABLE options, const xent_outputs *XENT_NULLABLE outputs,
                               xent_error *XENT_NULLABLE error);

/* Negative log-likelihood of log-probabilities (torch.nn.functional.nll_loss): xent_nll_f32 in any layout.
 *
 * log_probs  (outer, classes, inner), XENT_F32, _F64, _F16 or _BF16; only the targets' entries are read, and none for
 *            the gradient: its data may then be NULL, with the shape as it is
 * targets    per row, any integer dtype */
xent_status xent_nll(const xent_tensor *XENT_NULLABLE log_probs, const xent_tensor *XENT_NULLABLE targets,
                     const xent_options *XENT_NULLABLE options, const xent_outputs *XENT_NULLABLE outputs,
                     xent_error *XENT_NULLABLE error);

/* Binary cross-entropy with logits, for multi-label targets (torch.nn.functional.binary_cross_entropy_with_logits).
 *
 *   l[c] = w[c] * (pos_weight[c] * y[c] * log(1 + exp(-x[c])) + (1 - y[c]) * log(1 + exp(x[c])))
 *   grad_logits[c] = (g / d) * w[c] * ((1 - y[c]) * s - pos_weight[c] * y[c] * (1 - s)),   s = 1 / (1 + exp(-x[c]))
 *
 * logits   (outer, classes, inner), XENT_F32, _F64, _F16 or _BF16
 * targets  y, of the logits' shape, floating or XENT_U8; a factor of 0 makes 0 of an infinite logarithm
 * The mean divides by the number of elements, also with weights; XENT_REDUCTION_MEAN_ROWS by the number of rows: in
 * both cases of rows that count. */
xent_status xent_binary_cross_entropy(const xent_tensor *XENT_NULLABLE logits,
                                      const xent_tensor *XENT_NULLABLE targets,
                                      const xent_options *XENT_NULLABLE options,
                                      const xent_outputs *XENT_NULLABLE outputs, xent_error *XENT_NULLABLE error);

/* The divergence of a student's distribution q from a teacher's p, both given as logits of one shape, with the gradient
 * for the student; options->divergence says which. temperature, softcap and class_mask act on both.
 *
 *   XENT_KL, XENT_SOFT_CROSS_ENTROPY  grad_logits = (g / d) * (q - p) * dz/dx
 *   XENT_REVERSE_KL                   grad_logits = (g / d) * q * (log(q / p) - l) * dz/dx
 *   XENT_JENSEN_SHANNON               grad_logits = (g / d) * q * (log(q / m) - KL(q, m)) / 2 * dz/dx
 *
 * Both kinds of mean divide by the number of rows that count (batchmean in PyTorch's kl_div). The factor temperature^2
 * that distillation often has is for grad_loss. */
xent_status xent_divergence(const xent_tensor *XENT_NULLABLE student, const xent_tensor *XENT_NULLABLE teacher,
                            const xent_options *XENT_NULLABLE options, const xent_outputs *XENT_NULLABLE outputs,
                            xent_error *XENT_NULLABLE error);

/* xent_log_softmax_grad_f32 and xent_softmax_grad_f32 in any layout: three tensors of one shape, floating; the output
 * may be in place of either input. */
xent_status xent_log_softmax_grad(const xent_tensor *XENT_NULLABLE log_probs,
                                  const xent_tensor *XENT_NULLABLE grad_log_probs,
                                  const xent_tensor *XENT_NULLABLE grad_logits, xent_error *XENT_NULLABLE error);
xent_status xent_softmax_grad(const xent_tensor *XENT_NULLABLE probs, const xent_tensor *XENT_NULLABLE grad_probs,
                              const xent_tensor *XENT_NULLABLE grad_logits, xent_error *XENT_NULLABLE error);

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
 *              number from 1 to XENT_MAX_THREADS; any other value is ignored) or else the processors this process may
 *              run on.
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
