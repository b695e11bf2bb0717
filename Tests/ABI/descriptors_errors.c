/* SPDX-License-Identifier: Apache-2.0
 *
 * Every field of every tensor of every descriptor call, with values that are wrong for it. Options are in
 * descriptors_options.c, integers out of range in descriptors_indices.c, overlaps in descriptors_overlap.c.
 */
#include "refusal.h"

#include <unistd.h>

static const int64_t sizes[3] = {4, 9, 3};

static int64_t *size_field(xent_tensor *t, int axis) {
  return axis == 0 ? &t->outer : axis == 1 ? &t->classes : &t->inner;
}

static int64_t *stride_field(xent_tensor *t, int axis) {
  return axis == 0 ? &t->outer_stride : axis == 1 ? &t->class_stride : &t->inner_stride;
}

static const char *const axis_names[] = {"outer", "classes", "inner"};

static content content_of(form form, tensor t) {
  return t == TARGETS ? form_specs[form].targets_content : tensor_specs[t].content;
}

/* The status that a dtype has to give, XENT_OK where it is right. */
static xent_status status_of(form form, dtype type, tensor t, xent_dtype given) {
  bool is_known = given >= XENT_F32 && given <= XENT_U64, is_float = is_known && is_floating(given);
  xent_dtype real = type == F64 ? XENT_F64 : XENT_F32;
  if (!is_known) return XENT_ERR_DTYPE;
  switch (content_of(form, t)) {
    case INTEGERS: return is_float ? XENT_ERR_DTYPE : XENT_OK;
    case INDICES: return given == XENT_I32 || given == XENT_I64 ? XENT_OK : XENT_ERR_DTYPE;
    case REAL: return given == real ? XENT_OK : XENT_ERR_DTYPE;
    case FLOATING:
      if (t == TARGETS && form == BINARY && given == XENT_U8) return XENT_OK;
      if (!is_float) return XENT_ERR_DTYPE;
      return (given == XENT_F64) == (type == F64) ? XENT_OK : XENT_ERR_UNSUPPORTED;
  }
  return XENT_OK;
}

static void check_dtypes(form form, dtype type, const variant *v, tensor t) {
  static const xent_dtype unknown[] = {0, -1, XENT_U64 + 1, INT32_MIN, INT32_MAX};
  call c = make_call(form, type, sizes[0], sizes[1], sizes[2], v, false, 1);
  for (xent_dtype given = XENT_F32; given < XENT_U64 + 1 + (int)(sizeof unknown / sizeof *unknown); given++) {
    char what[80];
    xent_dtype dtype = given <= XENT_U64 ? given : unknown[given - XENT_U64 - 1];
    xent_status wanted = status_of(form, type, t, dtype);
    bool is_known = dtype >= XENT_F32 && dtype <= XENT_U64;
    /* The logits' dtype is what the others are measured by, and the targets' decides what kind they are. */
    if (wanted == XENT_OK || (t == LOGITS && is_known && is_floating(dtype))) continue;
    if (t == TARGETS && CROSS_ENTROPIES >> form & 1 && is_known) continue;
    c.tensors[t].dtype = dtype;
    snprintf(what, sizeof what, "%s.dtype %d", tensor_name(form, t), (int)dtype);
    check_call_refused(&c, wanted, tensor_name(form, t), NULL, what);
  }
  free_call(&c);
}

static void check_sizes(form form, dtype type, const variant *v, tensor t) {
  static const int64_t wrong[] = {-1, INT64_MIN, INT64_MAX, INT64_MAX / 2};
  call c = make_call(form, type, sizes[0], sizes[1], sizes[2], v, false, 1);
  xent_tensor right = c.tensors[t];
  const char *name = tensor_name(form, t);
  /* Which size is wrong cannot be said of what may have two shapes. */
  bool has_two_shapes = form == BINARY && (t == WEIGHT || t == POS_WEIGHT || t == GRAD_LOSS);
  /* How many entries a row has is for these to say, and then it is the other of two that is wrong. */
  const char *other = t == TARGETS && form == CE_SPARSE ? "target_probs"
                      : t == GATHER                     ? "gathered"
                      : t == TOP_INDICES                ? "top_log_probs"
                                                        : NULL;
  for (int axis = 0; axis < 3; axis++) {
    int64_t *size = size_field(&c.tensors[t], axis), *stride = stride_field(&c.tensors[t], axis);
    char what[120];
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
      *size = wrong[k];
      snprintf(what, sizeof what, "%s.%s %lld", name, axis_names[axis], (long long)wrong[k]);
      check_call_refused(&c, XENT_ERR_SIZE, name, NULL, what);
    }
    for (int step = -1; step <= 1; step += 2) {
      *size = *size_field(&right, axis) + step;
      c.tensors[t].class_stride = 10;
      c.tensors[t].outer_stride = 1000;
      snprintf(what, sizeof what, "%s.%s %lld", name, axis_names[axis], (long long)*size);
      if (t == LOGITS) check_call_refused(&c, XENT_ERR_SIZE, axis_names[axis], NULL, what);
      else if (other && axis == 1) check_call_refused(&c, XENT_ERR_SIZE, other, NULL, what);
      else check_call_refused(&c, XENT_ERR_SIZE, name, has_two_shapes ? NULL : axis_names[axis], what);
    }
    c.tensors[t] = right;
    if (*size < 2) continue;
    const int64_t far[] = {INT64_MAX, INT64_MIN, INT64_MAX / 2, INT64_MIN / 2, INT64_MAX / (*size - 1)};
    for (size_t k = 0; k < sizeof far / sizeof *far; k++) {
      *stride = far[k];
      snprintf(what, sizeof what, "%s: %s stride %lld", name, axis_names[axis], (long long)far[k]);
      /* Bytes need not be more than elements. */
      if (xent_dtype_size(right.dtype) > 1) check_call_refused(&c, XENT_ERR_SIZE, name, NULL, what);
    }
    c.tensors[t] = right;
  }
  /* Each fits, all together do not. */
  c.tensors[t].outer = c.tensors[t].inner = c.tensors[t].classes = INT64_C(1) << 21;
  check_call_refused(&c, XENT_ERR_SIZE, name, NULL, "2^63 elements");
  free_call(&c);
}

static void check_pointers(form form, dtype type, const variant *v, tensor t) {
  call c = make_call(form, type, sizes[0], sizes[1], sizes[2], v, false, 1);
  const char *name = tensor_name(form, t);
  const xent_tensor right = c.tensors[t];
  char what[80];
  c.tensors[t].data = NULL;
  snprintf(what, sizeof what, "%s.data NULL", name);
  check_call_refused(&c, XENT_ERR_NULL, name, "NULL", what);
  c.tensors[t] = right;
  c.tensors[t].reserved = 1;
  snprintf(what, sizeof what, "%s.reserved 1", name);
  check_call_refused(&c, XENT_ERR_OPTION, name, "reserved", what);
  c.tensors[t] = right;
  bool is_needed = t <= TARGETS || (t == GRAD_LOGITS && form >= LOG_SOFTMAX_GRAD) || (t == GATHER && c.has[GATHERED]);
  c.has[t] = false;
  snprintf(what, sizeof what, "%s NULL", name);
  if (is_needed) check_call_refused(&c, XENT_ERR_NULL, name, "NULL", what);
  free_call(&c);
}

/* Layouts that put two elements of an output in one place. */
static void check_self_overlap(form form, dtype type, const variant *v, tensor t) {
  static const int64_t strides[][3] = {{0, 3, 1},   {27, 0, 1},  {27, 3, 0},  {1, 1, 1}, {0, 0, 0},   {27, 3, 3},
                                       {27, 2, 1},  {26, 3, 1},  {1, 3, 1},   {1, 9, 9}, {27, -1, 1}, {-1, 1, 1},
                                       {26, -3, -1}, {-27, 1, -8}};
  call c = make_call(form, type, sizes[0], sizes[1], sizes[2], v, false, 1);
  for (size_t k = 0; k < sizeof strides / sizeof *strides; k++) {
    xent_tensor *x = &c.tensors[t];
    char what[80];
    x->outer_stride = strides[k][0];
    x->class_stride = strides[k][1];
    x->inner_stride = strides[k][2];
    /* Whether any two are in one place: what the strides are is for the library to see. */
    bool overlaps = false;
    for (int64_t a = 0; a < tensor_count(x); a++)
      for (int64_t b = 0; b < a; b++)
        overlaps |= element_at(x, a / (x->classes * x->inner), a / x->inner % x->classes, a % x->inner) ==
                    element_at(x, b / (x->classes * x->inner), b / x->inner % x->classes, b % x->inner);
    if (!overlaps) continue;
    snprintf(what, sizeof what, "%s with strides %d, %d, %d", tensor_name(form, t), (int)strides[k][0],
             (int)strides[k][1], (int)strides[k][2]);
    check_call_refused(&c, XENT_ERR_OVERLAP, tensor_name(form, t), "itself", what);
  }
  free_call(&c);
}

static void check_entries(dtype type) {
  call c = make_call(SOFTMAX, type, 2, 100, 3, variants, false, 1);
  c.tensors[TOP_INDICES].classes = c.tensors[TOP_LOG_PROBS].classes = XENT_MAX_TOP + 1;
  check_call_refused(&c, XENT_ERR_SIZE, "top_indices", "classes", "k above XENT_MAX_TOP");
  c.has[TOP_INDICES] = false;
  check_call_refused(&c, XENT_ERR_SIZE, "top_log_probs", "classes", "k above XENT_MAX_TOP, of log-probabilities alone");
  free_call(&c);
  c = make_call(SOFTMAX, type, 2, 9, 3, variants, false, 1);
  c.tensors[TOP_INDICES].classes = c.tensors[TOP_LOG_PROBS].classes = 10;
  check_call_refused(&c, XENT_ERR_SIZE, "top_indices", "classes", "k above the classes");
  free_call(&c);
}

static void check_outputs_null(form form, dtype type) {
  call c = make_call(form, type, 2, 9, 3, variants, false, 1);
  xent_options options;
  xent_outputs outputs;
  connect(&c, &options, &outputs);
  check_refused(&c, &options, NULL, XENT_ERR_NULL, "outputs", "NULL", "outputs NULL");
  free_call(&c);
}

int main(void) {
  alarm(300);
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++) {
      if (form < LOG_SOFTMAX_GRAD) check_outputs_null(form, type);
      uint64_t seen = 0; /* each tensor in the first variant that has it, with a loss and without */
      for (int v = 0; v < variant_count; v++) {
        if (!(variants[v].forms >> form & 1)) continue;
        call c = make_call(form, type, 1, 1, 1, &variants[v], false, 1);
        for (tensor t = 0; t < TENSORS; t++) {
          if (!c.has[t] || seen >> t & 1) continue;
          seen |= UINT64_C(1) << t;
          check_dtypes(form, type, &variants[v], t);
          check_sizes(form, type, &variants[v], t);
          check_pointers(form, type, &variants[v], t);
          if (is_output(t)) check_self_overlap(form, type, &variants[v], t);
        }
        free_call(&c);
      }
    }
  for (dtype type = F32; type < DTYPES; type++) check_entries(type);
  return check_summary();
}
