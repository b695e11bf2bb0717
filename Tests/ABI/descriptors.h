/* SPDX-License-Identifier: Apache-2.0
 *
 * Every descriptor call of xent.h as data: its forms, the tensors each form takes, sets of options, and layouts. A test
 * written over these tables runs for all of them; a new option or output is a new row.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include "operations.h"

/* A function with one kind of target: the columns of "What goes together" in xent.h, and the two without options. */
typedef enum {
  SOFTMAX,
  CE_INDEX,
  CE_SPARSE,
  CE_PROBS,
  NLL,
  BINARY,
  DIVERGENCE,
  LOG_SOFTMAX_GRAD,
  SOFTMAX_GRAD,
  FORMS
} form;

enum {
  CROSS_ENTROPIES = 1 << CE_INDEX | 1 << CE_SPARSE | 1 << CE_PROBS,
  WITH_OPTIONS = (1 << LOG_SOFTMAX_GRAD) - 1,
  WITH_LOSS = WITH_OPTIONS & ~(1 << SOFTMAX),
  WITH_PROBS = 1 << SOFTMAX | CROSS_ENTROPIES, /* whose outputs include what is known without a target */
  OF_LOGITS = WITH_PROBS | 1 << DIVERGENCE
};

/* Every tensor a call may have: two arguments, then those of xent_options, then those of xent_outputs. */
typedef enum {
  LOGITS,
  TARGETS, /* or the teacher, or the upstream gradient */
  WEIGHT,
  POS_WEIGHT,
  ROW_MASK,
  CLASS_MASK,
  TARGET_PROBS,
  GRAD_LOSS,
  GATHER,
  REDUCED_LOSS,
  ROW_LOSS,
  GRAD_LOGITS,
  PROBS,
  LOG_PROBS,
  LSE,
  ENTROPY,
  MAX_LOGIT,
  TARGET_LOG_PROB,
  Z_LOSS,
  ARGMAX,
  TARGET_RANK,
  TOP_INDICES,
  TOP_LOG_PROBS,
  GATHERED,
  TENSORS
} tensor;

typedef enum { WHOLE, EACH_ROW, EACH_CLASS, SINGLE, SPARSE_PICKS, GATHER_PICKS, TOP_PICKS } extent;

/* What may be in a tensor: the logits' dtype or another floating one that goes with it; the dtype of losses; any
 * integers; XENT_I64 or XENT_I32. Its first dtype is what make_call gives it. */
typedef enum { FLOATING, REAL, INTEGERS, INDICES } content;

typedef struct {
  const char *name; /* NULL: depends on the form */
  extent extent;
  content content;
  size_t offset; /* of the pointer in xent_options or xent_outputs */
  unsigned forms;
} tensor_spec;

typedef struct {
  const char *function, *label, *logits, *targets; /* targets NULL: there is no such argument */
  extent targets_extent;
  content targets_content;
} form_spec;

extern const tensor_spec tensor_specs[TENSORS];
extern const form_spec form_specs[FORMS];

/* A set of options. `tensors`: bits of the tensors of xent_options; `whole`: of those of the logits' shape. */
typedef struct {
  const char *name;
  unsigned forms, tensors, whole;
  xent_options options;
} variant;

extern const variant variants[];
extern const int variant_count;

typedef struct {
  int64_t correct, rows_counted;
  double loss_sum, weight_sum;
} sums;

/* A call with its own memory. Tests change fields between make_call and run_call. */
typedef struct {
  form form;
  dtype type;
  int64_t outer, classes, inner;
  const variant *variant;
  xent_options options; /* its tensors are set by connect */
  bool has[TENSORS], has_sums;
  xent_tensor tensors[TENSORS];
  void *blocks[TENSORS]; /* what the tensors lie in */
  size_t block_bytes[TENSORS];
  sums sums;
} call;

/* All that the form and the variant take, contiguous, wanting every output. is_wild: some rows hold NaN, +inf or
 * nothing but -inf. */
call make_call(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v, bool is_wild,
               uint64_t seed);
void free_call(call *c);
/* A tensor that the call has not, filled like the others, also one that the form does not take. */
void add_tensor(call *c, tensor t, bool is_wild, uint64_t seed);

/* Points options and outputs at the tensors that the call has. */
void connect(call *c, xent_options *options, xent_outputs *outputs);
xent_status call_with(call *c, const xent_options *options, const xent_outputs *outputs, xent_error *error);
xent_status run_call(call *c, xent_error *error);

bool is_output(tensor t);
bool is_taken(form form, tensor t);
/* As in xent.h and in error texts. */
const char *tensor_name(form form, tensor t);
const char *call_label(const call *c); /* valid until the next */
/* The row of "defaults", or of another name. */
const variant *variant_named(const char *name);

/* ---- Tensors ---------------------------------------------------------------------------------------------------- */

size_t xent_dtype_size(xent_dtype type);
bool is_floating(xent_dtype type);
int64_t tensor_count(const xent_tensor *t);
char *element_at(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner);
double load_element(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner); /* of any dtype */
void store_element(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner, double value);
int64_t load_integer(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner);
void store_integer(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner, int64_t value);

/* Element by element, of tensors of the same sizes and dtype. NaNs are the same whatever their payload. */
void copy_elements(const xent_tensor *to, const xent_tensor *from);
bool same_elements(const xent_tensor *a, const xent_tensor *b);
/* The name of the first output that both calls have and that differs; NULL for none. */
const char *different_output(const call *a, const call *b);
/* Whether every output is as make_call and connect left it. */
bool is_nothing_written(const call *c);

/* ---- Layouts ---------------------------------------------------------------------------------------------------- */

enum { OUTER = 1, CLASS = 2, INNER = 4 };

typedef struct {
  const char *name;
  const char *order; /* of the axes o, c, i, the slowest first */
  int64_t step, padding; /* elements from one to the next along the fastest axis; unused ones behind all of an axis */
  unsigned reversed, broadcast; /* axes; an output cannot be broadcast */
} layout;

extern const layout layouts[];
extern const int layout_count;

/* From the lowest element to the highest, both included. */
int64_t span_bytes(const xent_tensor *t);
/* The strides of a layout for sizes and dtype of a tensor; no data yet. */
xent_tensor in_layout(const xent_tensor *like, const layout *l);
/* Puts the lowest element at an address. */
void place_at(xent_tensor *t, void *lowest);
/* Memory of the call's own for tensor t in a layout, with margins; the old elements of an input go along. Every other
 * byte is UNTOUCHED. */
void move_tensor(call *c, tensor t, const layout *l);
enum { UNTOUCHED = 0x5C };
/* Gives tensor t another dtype, and contiguous memory; the values of an input go along. */
void retype_tensor(call *c, tensor t, xent_dtype type);
/* Whether the bytes that are no elements still are. */
bool is_rest_untouched(const call *c, tensor t);

#endif
