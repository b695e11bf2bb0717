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

/* Memory that a kernel may write over, one to a thread. On the stack, not initialised: see xentk_with_workspace. */
enum { XENTK_CHUNK = 2048, XENTK_STRIP = 64, XENTK_STATES = 6656, XENTK_RESULTS = 2560 };
typedef struct xentk_workspace {
  /* Elements of a row that cannot be used where they lie; tiles, which have 64 bytes before them. */
  double chunk[XENTK_CHUNK + 8];
  double strip[8][XENTK_STRIP]; /* filled-up strips, coefficients and the like */
  char states[XENTK_STATES];    /* the states of a row's parts on their way to be merged; the sums of a tile */
  char results[2 * XENTK_RESULTS]; /* of a batch of rows, of eight each */
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

/* ---- What Swift cannot say in one instruction -------------------------------------------------------------------- */

typedef int32_t xentk_int16lanes __attribute__((vector_size(64)));
typedef uint16_t xentk_half16lanes __attribute__((vector_size(32)));
typedef float xentk_float8lanes __attribute__((vector_size(32)));
typedef int32_t xentk_int8lanes __attribute__((vector_size(32)));
typedef float xentk_float16lanes __attribute__((vector_size(64)));
typedef double xentk_double8lanes __attribute__((vector_size(64)));
typedef int64_t xentk_long8lanes __attribute__((vector_size(64)));

/* Conversions, lane by lane. The standard library's are functions that a large caller does not inline. */
XENTK_INLINE xentk_double8lanes xentk_doubles(xentk_float8lanes v) {
  return __builtin_convertvector(v, xentk_double8lanes);
}
XENTK_INLINE xentk_float8lanes xentk_floats(xentk_double8lanes v) {
  return __builtin_convertvector(v, xentk_float8lanes);
}
XENTK_INLINE xentk_int16lanes xentk_widen(xentk_half16lanes v) { return __builtin_convertvector(v, xentk_int16lanes); }
XENTK_INLINE xentk_half16lanes xentk_narrow(xentk_int16lanes v) { return __builtin_convertvector(v, xentk_half16lanes); }

/* a·b + c, rounded once: for where it is an instruction. The standard library's is a loop over the lanes, of which the
 * compiler does not always make one vector again. */
XENTK_INLINE xentk_double8lanes xentk_fma_doubles(xentk_double8lanes a, xentk_double8lanes b, xentk_double8lanes c) {
  return __builtin_elementwise_fma(a, b, c);
}
XENTK_INLINE xentk_float16lanes xentk_fma_floats(xentk_float16lanes a, xentk_float16lanes b, xentk_float16lanes c) {
  return __builtin_elementwise_fma(a, b, c);
}

/* Halves of sixteen. */
XENTK_INLINE xentk_float8lanes xentk_low(xentk_float16lanes v) {
  return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
}
XENTK_INLINE xentk_float8lanes xentk_high(xentk_float16lanes v) {
  return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
}
XENTK_INLINE xentk_float16lanes xentk_join(xentk_float8lanes low, xentk_float8lanes high) {
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* Loads and stores, at any address. */
#define XENTK_MEMORY(suffix, vector)                                               \
  XENTK_INLINE vector xentk_load_##suffix(const void *_Nonnull p) {                \
    vector v;                                                                      \
    __builtin_memcpy(&v, p, sizeof v);                                             \
    return v;                                                                      \
  }                                                                                \
  XENTK_INLINE void xentk_store_##suffix(void *_Nonnull p, vector v) { __builtin_memcpy(p, &v, sizeof v); }
XENTK_MEMORY(halves, xentk_half16lanes)
XENTK_MEMORY(8floats, xentk_float8lanes)
XENTK_MEMORY(floats, xentk_float16lanes)
XENTK_MEMORY(doubles, xentk_double8lanes)
#undef XENTK_MEMORY

/* The same lanes, to be there as a whole at this point: what the compiler would else move or take apart. */
XENTK_INLINE xentk_float16lanes xentk_whole(xentk_float16lanes v) {
#if defined(__AVX512F__)
  __asm__ volatile("" : "+v"(v));
#elif defined(__AVX2__)
  xentk_float8lanes low = xentk_low(v), high = xentk_high(v);
  __asm__ volatile("" : "+x"(low), "+x"(high));
  v = xentk_join(low, high);
#endif
  return v;
}

/* The same of a mask: where masks are no registers of their own, one of eight lanes that is used in several places is else packed to
 * 16 bits a lane, and unpacked in each. */
XENTK_INLINE xentk_long8lanes xentk_whole_mask(xentk_long8lanes mask) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  typedef int64_t four __attribute__((vector_size(32)));
  four low = __builtin_shufflevector(mask, mask, 0, 1, 2, 3), high = __builtin_shufflevector(mask, mask, 4, 5, 6, 7);
  __asm__("" : "+x"(low), "+x"(high));
  mask = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
#endif
  return mask;
}

/* 1, but the compiler does not know. */
XENTK_INLINE double xentk_one(void) {
  double one = 1;
  __asm__("" : "+x"(one));
  return one;
}

/* Whether any bit is set. */
XENTK_INLINE int xentk_any(xentk_int16lanes mask) { return __builtin_reduce_or(mask) != 0; }
XENTK_INLINE int xentk_any_doubles(xentk_long8lanes mask) { return __builtin_reduce_or(mask) != 0; }

/* Whether a lane, by its bits, is within 8 of an odd multiple of `tie`, a power of two, or smaller than `least`. */
XENTK_INLINE int xentk_any_near_ties(xentk_float16lanes v, int32_t tie, int32_t least) {
  xentk_int16lanes bits = (xentk_int16lanes)v;
  return __builtin_reduce_or((((bits - (tie - 8)) & (2 * tie - 1)) <= 16) | ((bits & INT32_MAX) < least)) != 0;
}

/* Comparisons of integers, which Swift makes lane by lane: all ones or 0. */
XENTK_INLINE xentk_long8lanes xentk_equal(xentk_long8lanes v, int64_t number) { return v == number; }
XENTK_INLINE xentk_long8lanes xentk_positive(xentk_long8lanes v) { return v > 0; }
XENTK_INLINE xentk_long8lanes xentk_load_ints(const void *_Nonnull p) {
  typedef int32_t eight __attribute__((vector_size(32)));
  eight v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, xentk_long8lanes);
}

/* b where it is greater (less) than a, otherwise a: one instruction, which the compiler does not find in Swift's lanes. */
#define XENTK_EXTREMES(suffix, vector, bits)                                           \
  XENTK_INLINE vector xentk_larger##suffix(vector a, vector b) {                       \
    bits is_greater = (bits)(b > a);                                                   \
    return (vector)(((bits)b & is_greater) | ((bits)a & ~is_greater));                 \
  }                                                                                    \
  XENTK_INLINE vector xentk_smaller##suffix(vector a, vector b) {                      \
    bits is_less = (bits)(b < a);                                                      \
    return (vector)(((bits)b & is_less) | ((bits)a & ~is_less));                       \
  }
XENTK_EXTREMES(, xentk_float16lanes, xentk_int16lanes)
XENTK_EXTREMES(_doubles, xentk_double8lanes, xentk_long8lanes)
#undef XENTK_EXTREMES
/* Bit k: lane k of one is that of the other. */
XENTK_INLINE uint32_t xentk_equal_floats(xentk_float16lanes a, xentk_float16lanes b) {
#if defined(__AVX512F__)
  typedef float v16sf __attribute__((vector_size(64)));
  return (uint16_t)__builtin_ia32_cmpps512_mask((v16sf)a, (v16sf)b, 0, (uint16_t)-1, 4);
#elif defined(__AVX2__)
  xentk_float16lanes equal = (xentk_float16lanes)(a == b);
  return (uint32_t)__builtin_ia32_movmskps256(xentk_low(equal)) |
         (uint32_t)__builtin_ia32_movmskps256(xentk_high(equal)) << 8;
#else
  xentk_int16lanes equal = (xentk_int16lanes)(a == b);
  uint32_t bits = 0;
  for (int lane = 0; lane < 16; lane++) bits |= (uint32_t)equal[lane] & 1u << lane;
  return bits;
#endif
}
XENTK_INLINE uint32_t xentk_equal_doubles(xentk_double8lanes a, xentk_double8lanes b) {
  xentk_long8lanes equal = (xentk_long8lanes)(a == b);
#if defined(__AVX2__) && !defined(__AVX512F__)
  typedef double four __attribute__((vector_size(32)));
  four low = (four)__builtin_shufflevector(equal, equal, 0, 1, 2, 3);
  four high = (four)__builtin_shufflevector(equal, equal, 4, 5, 6, 7);
  return (uint32_t)__builtin_ia32_movmskpd256(low) | (uint32_t)__builtin_ia32_movmskpd256(high) << 4;
#else
  uint32_t bits = 0;
  for (int lane = 0; lane < 8; lane++) bits |= (uint32_t)equal[lane] & 1u << lane;
  return bits;
#endif
}

/* The first `count` of sixteen, less than all of them; the others are `other`, and what is beyond is left alone. */
XENTK_INLINE xentk_float16lanes xentk_load_few_floats(const void *_Nonnull p, int32_t count, float other) {
  xentk_float16lanes v = {0};
  v += other;
#if defined(__AVX512F__)
  typedef float v16sf __attribute__((vector_size(64)));
  return (xentk_float16lanes)__builtin_ia32_loadups512_mask((const float *)p, (v16sf)v, (uint16_t)((1u << count) - 1));
#elif defined(__AVX2__)
  xentk_int8lanes lane = {0, 1, 2, 3, 4, 5, 6, 7};
  xentk_int8lanes low = lane < count, high = lane < count - 8;
  xentk_float8lanes first = __builtin_ia32_maskloadps256((const xentk_float8lanes *)p, low);
  xentk_float8lanes second = __builtin_ia32_maskloadps256((const xentk_float8lanes *)((const char *)p + 32), high);
  xentk_int16lanes is = (xentk_int16lanes)xentk_join((xentk_float8lanes)low, (xentk_float8lanes)high);
  return (xentk_float16lanes)(((xentk_int16lanes)xentk_join(first, second) & is) | ((xentk_int16lanes)v & ~is));
#else
  for (int32_t i = 0; i < count; i++) __builtin_memcpy((char *)&v + 4 * i, (const char *)p + 4 * i, 4);
  return v;
#endif
}
XENTK_INLINE void xentk_store_few_floats(void *_Nonnull p, xentk_float16lanes v, int32_t count) {
#if defined(__AVX512F__)
  typedef float v16sf __attribute__((vector_size(64)));
  __builtin_ia32_storeups512_mask((float *)p, (v16sf)v, (uint16_t)((1u << count) - 1));
#elif defined(__AVX2__)
  // By halves of what is left: processors are slow with masked stores.
  char *out = (char *)p;
  xentk_float8lanes eight = xentk_low(v);
  if (count & 8) {
    __builtin_memcpy(out, &eight, 32);
    out += 32;
    eight = xentk_high(v);
  }
  typedef float four_lanes __attribute__((vector_size(16)));
  four_lanes four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3);
  if (count & 4) {
    __builtin_memcpy(out, &four, 16);
    out += 16;
    four = __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  }
  if (count & 2) {
    __builtin_memcpy(out, &four, 8);
    out += 8;
    four = __builtin_shufflevector(four, four, 2, 3, 2, 3);
  }
  if (count & 1) __builtin_memcpy(out, &four, 4);
#else
  for (int32_t i = 0; i < count; i++) __builtin_memcpy((char *)p + 4 * i, (const char *)&v + 4 * i, 4);
#endif
}

/* b where the mask's bits are set, a where they are not. Swift's own `replacing` goes through the lanes one by one. */
XENTK_INLINE xentk_double8lanes xentk_select_doubles(xentk_double8lanes a, xentk_double8lanes b, xentk_long8lanes mask) {
  return (xentk_double8lanes)(((xentk_long8lanes)b & mask) | ((xentk_long8lanes)a & ~mask));
}
XENTK_INLINE xentk_float16lanes xentk_select_floats(xentk_float16lanes a, xentk_float16lanes b, xentk_int16lanes mask) {
  return (xentk_float16lanes)(((xentk_int16lanes)b & mask) | ((xentk_int16lanes)a & ~mask));
}
XENTK_INLINE xentk_long8lanes xentk_select_longs(xentk_long8lanes a, xentk_long8lanes b, xentk_long8lanes mask) {
  return (b & mask) | (a & ~mask);
}
XENTK_INLINE xentk_int16lanes xentk_select_ints(xentk_int16lanes a, xentk_int16lanes b, xentk_int16lanes mask) {
  return (b & mask) | (a & ~mask);
}

/* `count` lanes of v from `first` on; the others are 0. */
XENTK_INLINE xentk_double8lanes xentk_alone(xentk_double8lanes v, int64_t first, int64_t count) {
  xentk_long8lanes lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return (xentk_double8lanes)((xentk_long8lanes)v & ((lane >= first) & (lane < first + count)));
}

/* The largest lane, by a fixed tree of "b where it is greater than a". */
XENTK_INLINE double xentk_largest_double(xentk_double8lanes v) {
#if defined(__AVX2__)
  typedef double v4df __attribute__((vector_size(32)));
  typedef double v2df __attribute__((vector_size(16)));
  v4df four = __builtin_ia32_maxpd256(__builtin_shufflevector(v, v, 4, 5, 6, 7),
                                      __builtin_shufflevector(v, v, 0, 1, 2, 3));
  v2df two = __builtin_ia32_maxpd(__builtin_shufflevector(four, four, 2, 3), __builtin_shufflevector(four, four, 0, 1));
  return two[1] > two[0] ? two[1] : two[0];
#else
  for (int width = 4; width > 0; width /= 2)
    for (int lane = 0; lane < width; lane++) v[lane] = v[lane + width] > v[lane] ? v[lane + width] : v[lane];
  return v[0];
#endif
}
XENTK_INLINE float xentk_largest_float(xentk_float16lanes v) {
#if defined(__AVX2__)
  typedef float v8sf __attribute__((vector_size(32)));
  typedef float v4sf __attribute__((vector_size(16)));
  v8sf eight = __builtin_ia32_maxps256(__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15),
                                       __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7));
  v4sf four = __builtin_ia32_maxps(__builtin_shufflevector(eight, eight, 4, 5, 6, 7),
                                   __builtin_shufflevector(eight, eight, 0, 1, 2, 3));
  v4sf two = __builtin_ia32_maxps(__builtin_shufflevector(four, four, 2, 3, 2, 3), four);
  return two[1] > two[0] ? two[1] : two[0];
#else
  for (int width = 8; width > 0; width /= 2)
    for (int lane = 0; lane < width; lane++) v[lane] = v[lane + width] > v[lane] ? v[lane + width] : v[lane];
  return v[0];
#endif
}

/* Copies a line past the caches, of 64 bytes from where lines begin. To be followed by a fence, as the next. */
XENTK_INLINE void xentk_stream_line(void *_Nonnull to, const void *_Nonnull from) {
  xentk_float16lanes v;
  __builtin_memcpy(&v, from, sizeof v);
  __builtin_nontemporal_store(v, (xentk_float16lanes *)to);
}

/* Copies bytes past the caches, a line at a time: for memory that will not be read soon, and is not to be read in order to
 * be written. To be followed by a fence before other threads look at it. */
XENTK_INLINE void xentk_stream(void *_Nonnull to, const void *_Nonnull from, int64_t bytes) {
  char *out = (char *)to;
  const char *in = (const char *)from;
  int64_t head = (int64_t)(-(uintptr_t)out & 63);
  if (head > bytes) head = bytes;
  int64_t i = 0;
  for (; i < head; i += 4) __builtin_memcpy(out + i, in + i, 4);
  for (; i + 64 <= bytes; i += 64) xentk_stream_line(out + i, in + i);
  for (; i < bytes; i += 4) __builtin_memcpy(out + i, in + i, 4);
}
XENTK_INLINE void xentk_fence(void) { __asm__ volatile("sfence" ::: "memory"); }

/* A line of memory that will be read soon; any address will do, mapped or not. */
XENTK_INLINE void xentk_prefetch(const void *_Nonnull p) { __builtin_prefetch(p); }

/* c, up to 31, from memory, where an instruction that needs it in all lanes can take it from. */
XENTK_INLINE float xentk_small_number(int64_t c) {
  static const float numbers[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
  return numbers[c];
}

/* table[index & 7] in every lane; the table stands twice in a row. */
XENTK_INLINE xentk_int16lanes xentk_lookup(xentk_int16lanes table, xentk_int16lanes index) {
#if defined(__AVX512F__)
  typedef int v16si __attribute__((vector_size(64)));
  return (xentk_int16lanes)__builtin_ia32_permvarsi512((v16si)table, (v16si)index);
#elif defined(__AVX2__)
  typedef int v8si __attribute__((vector_size(32)));
  v8si half = (v8si)__builtin_shufflevector(table, table, 0, 1, 2, 3, 4, 5, 6, 7);
  v8si low = (v8si)__builtin_shufflevector(index, index, 0, 1, 2, 3, 4, 5, 6, 7);
  v8si high = (v8si)__builtin_shufflevector(index, index, 8, 9, 10, 11, 12, 13, 14, 15);
  return (xentk_int16lanes)__builtin_shufflevector(
      __builtin_ia32_permvarsi256(half, low), __builtin_ia32_permvarsi256(half, high), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
      11, 12, 13, 14, 15);
#else
  xentk_int16lanes result;
  for (int lane = 0; lane < 16; lane++) result[lane] = table[index[lane] & 7];
  return result;
#endif
}

/* 8 classes of 8 rows of f64, or of 16 rows of f32, to the rows' lanes: to[c·width + r] = from[r·stride + c]. And back. Of
 * fewer rows than lanes the last one stands in all that are left over, and nothing is stored for these. */
#define XENTK_TRANSPOSE(to_lanes, to_rows, type, network)                                                            \
  XENTK_INLINE void to_lanes(const type *_Nonnull from, int64_t stride, int64_t rows, type *_Nonnull to) {           \
    enum { ROW = 8 * sizeof(type), HALVES = sizeof(network##_vector) / ROW };                                        \
    network##_vector v[8];                                                                                           \
    _Pragma("clang loop unroll(full)")                                                                               \
    for (int r = 0; r < 8 * HALVES; r++)                                                                             \
      __builtin_memcpy((char *)&v[r % 8] + r / 8 * ROW, from + (r < rows ? r : rows - 1) * stride, ROW);             \
    network(v);                                                                                                      \
    __builtin_memcpy(to, v, sizeof v);                                                                               \
  }                                                                                                                  \
  /* Row after row: where rows are shorter than 8 each overwrites what the one before has put behind its end. */     \
  XENTK_INLINE void to_rows(const type *_Nonnull from, type *_Nonnull to, int64_t stride, int64_t rows) {            \
    enum { ROW = 8 * sizeof(type), HALVES = sizeof(network##_vector) / ROW };                                        \
    network##_vector v[8];                                                                                           \
    __builtin_memcpy(v, from, sizeof v);                                                                             \
    network(v);                                                                                                      \
    _Pragma("clang loop unroll(full)")                                                                               \
    for (int r = 0; r < 8 * HALVES; r++)                                                                             \
      if (r < rows) __builtin_memcpy(to + r * stride, (char *)&v[r % 8] + r / 8 * ROW, ROW);                         \
  }

/* 8 by 8: rows r and r + 4 interleaved, three times. */
typedef xentk_double8lanes xentk_network8_vector;
XENTK_INLINE void xentk_network8(xentk_network8_vector *_Nonnull a) {
  xentk_network8_vector b[8];
  for (int stage = 0; stage < 3; stage++) {
    for (int r = 0; r < 4; r++) {
      b[2 * r] = __builtin_shufflevector(a[r], a[r + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      b[2 * r + 1] = __builtin_shufflevector(a[r], a[r + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int r = 0; r < 8; r++) a[r] = b[r];
  }
}
/* Row r in the low lanes and row r + 8 in the high ones, 8 by 8 each: singles, pairs, quarters. */
typedef xentk_float16lanes xentk_network16_vector;
XENTK_INLINE void xentk_network16(xentk_network16_vector *_Nonnull a) {
  xentk_network16_vector b[8];
  for (int r = 0; r < 8; r += 2) {
    b[r] = __builtin_shufflevector(a[r], a[r + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    b[r + 1] = __builtin_shufflevector(a[r], a[r + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
  for (int r = 0; r < 8; r += 4) {
    for (int k = 0; k < 2; k++) {
      a[r + 2 * k] = __builtin_shufflevector(b[r + k], b[r + k + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
      a[r + 2 * k + 1] =
          __builtin_shufflevector(b[r + k], b[r + k + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    }
  }
  for (int r = 0; r < 4; r++) {
    b[r] = __builtin_shufflevector(a[r], a[r + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    b[r + 4] = __builtin_shufflevector(a[r], a[r + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  }
  for (int r = 0; r < 8; r++) a[r] = b[r];
}
XENTK_TRANSPOSE(xentk_floats_to_lanes, xentk_floats_to_rows, float, xentk_network16)
XENTK_TRANSPOSE(xentk_doubles_to_lanes, xentk_doubles_to_rows, double, xentk_network8)
#undef XENTK_TRANSPOSE

/* The same of 8 classes of 16 rows that come or go in 8 registers: rows r and r + 8 in register r. */
XENTK_INLINE void xentk_transpose(const float *_Nonnull from, float *_Nonnull to) {
  xentk_network16_vector v[8];
  __builtin_memcpy(v, from, sizeof v);
  xentk_network16(v);
  __builtin_memcpy(to, v, sizeof v);
}
/* Elements of 16 bits, eight and eight. */
XENTK_INLINE xentk_half16lanes xentk_load_two_halves(const void *_Nonnull low, const void *_Nonnull high) {
  xentk_half16lanes v;
  __builtin_memcpy(&v, low, sizeof v / 2);
  __builtin_memcpy((char *)&v + sizeof v / 2, high, sizeof v / 2);
  return v;
}
XENTK_INLINE void xentk_copy_8halves(void *_Nonnull to, const void *_Nonnull from) {
  __builtin_memcpy(to, from, sizeof(xentk_half16lanes) / 2);
}

#endif
