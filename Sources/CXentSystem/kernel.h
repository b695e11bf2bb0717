/* The boundary between the runtime and the kernels, in C so that no Swift type crosses it: a public Swift type would
 * bring helper functions that the linker merges across CPU levels. */
#ifndef CXENT_KERNEL_H
#define CXENT_KERNEL_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Always inlined: out of line a function would have one name at every CPU level. */
#define XENTK_INLINE static inline __attribute__((always_inline))

/* The kernel table. */
typedef int32_t xentk_operation;
enum {
  XENTK_ROWS, /* softmax, log-softmax, lse, cross-entropy with its gradient, and whatever else a row of logits has */
  XENTK_NLL,
  XENTK_SOFTMAX_GRAD, /* and log-softmax's */
  XENTK_BINARY,
  XENTK_DIVERGENCE
};

/* A tensor of the call: XENT_F32 ..., strides in elements; the element of row (o, i) and class c lies at
 * data + o·outer_stride + c·class_stride + i·inner_stride. */
typedef struct xentk_array {
  void *_Nullable data; /* NULL: not given, not wanted */
  int32_t dtype, size;  /* bytes of an element */
  int64_t outer_stride, class_stride, inner_stride;
  int64_t classes; /* k for several entries a row */
} xentk_array;

/* targets */
enum { XENTK_NO_TARGET, XENTK_INDEX, XENTK_SPARSE, XENTK_PROBABILITIES };

/* What a kernel is to do: whole rows, or, for a row that threads share, piece by piece. A piece is a subtree of the
 * chunks' tree, so that the bits are the same. */
enum {
  XENTK_WHOLE,
  XENTK_ASK,  /* *loss gets correct = 1 if rows of this call can be worked on in pieces */
  XENTK_READ, /* pieces [first, last): each one's state goes to its place in `pieces` */
  XENTK_WRITE /* pieces [first, last): the outputs of the row's shape; and all others, with piece 0 */
};

/* One checked call, in the words of xent.h. Kernels trust every field. */
typedef struct xentk_problem {
  xentk_operation operation;
  int32_t is_wide;     /* rows are worked on as f64, otherwise as f32 */
  int32_t target_kind;
  int32_t is_log;      /* XENTK_SOFTMAX_GRAD: of log-softmax */
  int32_t divergence;
  int32_t skips_masked; /* XENT_ZERO: rows of nothing but masks do not count */
  int32_t is_uniform;   /* XENT_SMOOTHING_UNIFORM */
  int32_t is_fastest;   /* XENT_ACCURACY_FASTEST */
  int32_t wants_loss;   /* reduced or of each row */
  int32_t wants_correct;
  int32_t threads;      /* the most; 0: as set for the process */
  int64_t rows, classes, inner;
  int32_t phase;       /* XENTK_WHOLE, ... */
  int64_t row;         /* the row in pieces, */
  int64_t piece;       /* of so many classes each, */
  int64_t piece_count; /* so many of them; of XENTK_BINARY in each row, and these are what is counted instead of rows, */
  void *_Nullable pieces; /* and their states, each in the place of an xentk_loss */

  int64_t ignore_index;
  double label_smoothing;
  double live_classes; /* C: the classes that are not masked out */
  double temperature, softcap, focal_gamma, poly_epsilon, z_loss;
  /* What the gradient is divided by, (hi + lo)·2^exponent: for a mean what it divides by, otherwise 1. */
  double divisor_hi, divisor_lo, divisor_exponent;

  uint32_t given; /* bit k: of the arrays that follow, array k is not NULL */
  /* XENTK_ARRAYS of them in a row, for those who want all: XENTK_INPUTS inputs, */
  xentk_array input;   /* logits, log_probs, or probs */
  xentk_array second;  /* grad_log_probs or grad_probs; the teacher's logits */
  xentk_array targets; /* indices, or probabilities, or labels */
  xentk_array target_probs, weight, pos_weight, row_mask, class_mask, grad_loss, gather;
  /* XENTK_OUTPUTS outputs, */
  xentk_array grad, probs, log_probs;
  xentk_array row_loss, lse, entropy, max_logit, target_log_prob, row_z_loss, argmax, target_rank;
  xentk_array top_indices, top_log_probs, gathered;

  /* and XENTK_SCALARS outputs of one element, which are the door's alone. */
  xentk_array loss, correct, rows_counted, loss_sum, weight_sum;
  /* The door's as well: what texts call the function, and whether it is a plain one, where some arrays have shorter
   * names. */
  const char *_Nullable function;
  int32_t is_plain;
} xentk_problem;

enum { XENTK_INPUTS = 10, XENTK_OUTPUTS = 14, XENTK_SCALARS = 5, XENTK_ARRAYS = 29 };
XENTK_INLINE xentk_array *_Nonnull xentk_arrays(xentk_problem *_Nonnull p) { return &p->input; }
#define XENTK_IN_A_ROW(first, last, count)                                                     \
  _Static_assert(offsetof(xentk_problem, last) - offsetof(xentk_problem, first) ==             \
                     ((count) - 1) * sizeof(xentk_array), "in a row")
XENTK_IN_A_ROW(input, gather, XENTK_INPUTS);
XENTK_IN_A_ROW(input, grad, XENTK_INPUTS + 1);
XENTK_IN_A_ROW(grad, gathered, XENTK_OUTPUTS);
XENTK_IN_A_ROW(input, weight_sum, XENTK_ARRAYS);
#undef XENTK_IN_A_ROW

/* Bits of `given`. */
#define XENTK_BIT(field) (1u << (offsetof(xentk_problem, field) - offsetof(xentk_problem, input)) / sizeof(xentk_array))
enum {
  /* What rows have that do not count, too, */
  XENTK_OF_ALL = XENTK_BIT(lse) | XENTK_BIT(entropy) | XENTK_BIT(max_logit) | XENTK_BIT(argmax) | XENTK_BIT(log_probs) |
                 XENTK_BIT(top_indices) | XENTK_BIT(top_log_probs) | XENTK_BIT(gathered),
  /* and what a row has one of, or a few, beside its loss and its lse. */
  XENTK_STATISTICS = XENTK_BIT(entropy) | XENTK_BIT(max_logit) | XENTK_BIT(argmax) | XENTK_BIT(top_indices) |
                     XENTK_BIT(top_log_probs) | XENTK_BIT(gathered) | XENTK_BIT(target_log_prob) |
                     XENTK_BIT(target_rank) | XENTK_BIT(row_z_loss),
  XENTK_TOP = XENTK_BIT(top_indices) | XENTK_BIT(top_log_probs),
};
#undef XENTK_BIT

/* Sets array k's bit. As a whole: who reads all bits waits for one that was stored alone, as a byte. */
XENTK_INLINE void xentk_give(xentk_problem *_Nonnull p, int32_t k) { *(volatile uint32_t *)&p->given |= 1u << k; }

/* Sets `given`. */
XENTK_INLINE void xentk_find_given(xentk_problem *_Nonnull p) {
  uint32_t given = 0;
#pragma clang loop unroll(full)
  for (int32_t k = 0; k < XENTK_ARRAYS; k++) given |= (uint32_t)(xentk_arrays(p)[k].data != NULL) << k;
  p->given = given;
}

/* A problem's place on the stack, with what the door needs besides: where the arrays begin and end. A union, because
 * Swift clears a struct, and field by field. */
enum { XENTK_EXTENT = 32 };
typedef union xentk_room {
  struct {
    xentk_problem problem;
    char extents[XENTK_ARRAYS][XENTK_EXTENT];
  } parts;
} xentk_room;

/* Nothing of it is set, */
XENTK_INLINE xentk_room xentk_new_room(void) {
  xentk_room room;
  return room;
}
/* and now a problem of nothing. Out of line: in a function that is to be small it would be made by `rep stos`. */
static __attribute__((noinline, unused)) xentk_problem *_Nonnull xentk_clear(xentk_room *_Nonnull room) {
  memset(&room->parts.problem, 0, sizeof room->parts.problem);
  return &room->parts.problem;
}
XENTK_INLINE void *_Nonnull xentk_extents(xentk_problem *_Nonnull p) { return ((xentk_room *)p)->parts.extents; }

/* A sum of losses (or weights), unrounded: hi + lo + (huge_hi + huge_lo)·2^1100 + (tiny_hi + tiny_lo)·2^-1100. What is
 * 2^900 and more, or less than 2^-900, goes apart, so that a sum may leave the format where its mean does not. */
typedef struct xentk_loss {
  double hi, lo, huge_hi, huge_lo, tiny_hi, tiny_lo;
  int64_t correct; /* rows whose largest logit is the target's */
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

/* value·2^exponent with one rounding; exponent whole. Where 2^exponent is a normal number it is a multiplication. */
XENTK_INLINE double xentk_scale(double value, double exponent) {
  if (exponent >= -1022 && exponent <= 1023) {
    uint64_t bits = (uint64_t)((int64_t)exponent + 1023) << 52;
    double power;
    memcpy(&power, &bits, sizeof power);
    return value * power;
  }
  return scalbn(value, exponent < -9999 ? -9999 : exponent > 9999 ? 9999 : (int)exponent);
}

/* value as a mantissa in [½, 1) and the exponent that goes with it; value finite and not 0. */
XENTK_INLINE double xentk_mantissa(double value, double *_Nonnull exponent) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint64_t biased = bits >> 52 & 0x7FF;
  if (biased == 0) { /* subnormal */
    int e;
    double mantissa = frexp(value, &e);
    *exponent = e;
    return mantissa;
  }
  *exponent = (double)((int64_t)biased - 1022);
  bits = (bits & 0x800FFFFFFFFFFFFF) | 0x3FE0000000000000;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Adds (value + low)·2^exponent; value about 1, or any number with exponent 0. */
XENTK_INLINE void xentk_accumulate(xentk_loss *_Nonnull sum, double value, double low, double exponent) {
  double size = __builtin_fabs(value);
  if (exponent == 0 && !(size >= 0x1p-900 && size < 0x1p900) && size > 0 && __builtin_isfinite(value)) {
    double shift;
    value = xentk_mantissa(value, &shift);
    low = xentk_scale(low, -shift);
    exponent = shift;
  }
  if (exponent >= 900)
    xentk_add(&sum->huge_hi, &sum->huge_lo, xentk_scale(value, exponent - 1100), xentk_scale(low, exponent - 1100));
  else if (exponent < -900)
    xentk_add(&sum->tiny_hi, &sum->tiny_lo, xentk_scale(value, exponent + 1100), xentk_scale(low, exponent + 1100));
  else if (exponent == 0)
    xentk_add(&sum->hi, &sum->lo, value, low);
  else
    xentk_add(&sum->hi, &sum->lo, xentk_scale(value, exponent), xentk_scale(low, exponent));
}

/* Rows are worked on in at most this many runs, whatever the number of threads; their losses are added in order. */
enum { XENTK_SEGMENTS = 128 };

/* Calls body with the losses of `segments` runs, all 0, on this thread's stack. */
XENTK_INLINE void xentk_with_losses(int64_t segments,
                                    void (*_Nonnull body)(xentk_loss *_Nonnull, void *_Nonnull),
                                    void *_Nonnull context) {
  xentk_loss losses[XENTK_SEGMENTS];
  for (int64_t segment = 0; segment < segments; segment++) losses[segment] = (xentk_loss){0};
  body(losses, context);
}

/* What a later tile is read from and written to: it is fetched while one is summed up. */
typedef struct xentk_later {
  const void *_Nonnull read, *_Nonnull write;
} xentk_later;

/* Memory that a kernel may write over, one to a thread. On the stack, not initialised: see xentk_with_workspace. */
enum { XENTK_CHUNK = 2048, XENTK_STRIP = 64, XENTK_STATES = 6656, XENTK_RESULTS = 2560 };
typedef struct xentk_workspace {
  /* Elements of a row that cannot be used where they lie; tiles, which have 64 bytes before them. */
  double chunk[XENTK_CHUNK + 8];
  double strip[8][XENTK_STRIP]; /* filled-up strips, coefficients and the like */
  char states[XENTK_STATES];    /* the states of a row's parts on their way to be merged; the sums of a tile */
  char results[2 * XENTK_RESULTS]; /* of a batch of rows, of eight each */
  xentk_later later;
} xentk_workspace;

XENTK_INLINE double *_Nonnull xentk_chunk(xentk_workspace *_Nonnull w) { return w->chunk; }
XENTK_INLINE double *_Nonnull xentk_strip(xentk_workspace *_Nonnull w, int32_t number) { return w->strip[number]; }
XENTK_INLINE void *_Nonnull xentk_states(xentk_workspace *_Nonnull w) { return w->states; }
XENTK_INLINE void *_Nonnull xentk_results(xentk_workspace *_Nonnull w) { return w->results; }

/* Works on rows [first, last) and adds their losses to *loss. */
typedef void (*xentk_kernel)(const xentk_problem *_Nonnull problem, int64_t first, int64_t last,
                             xentk_workspace *_Nonnull workspace, xentk_loss *_Nonnull loss);

/* One table per CPU level; defined by the module XentKernels and its twins (Entry.swift). */
xentk_kernel _Nullable xentk_kernel_baseline(xentk_operation operation);
xentk_kernel _Nullable xentk_kernel_v3(xentk_operation operation);
xentk_kernel _Nullable xentk_kernel_v4(xentk_operation operation);

/* Calls body with a workspace on this thread's stack. Not by Swift: it would clear what is 29 KB, or ask malloc. */
XENTK_INLINE void xentk_with_workspace(void (*_Nonnull body)(xentk_workspace *_Nonnull, void *_Nonnull),
                                       void *_Nonnull context) {
  _Alignas(64) xentk_workspace workspace;
  body(&workspace, context);
}

#endif
