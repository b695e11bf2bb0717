/* SPDX-License-Identifier: Apache-2.0
 *
 * Every output of every descriptor call against each of its other tensors, as overlap.c does for plain functions: what
 * shares a byte is XENT_ERR_OVERLAP, with both names and nothing written; what lies next to each other, also column by
 * column, gives the same bits as separate memory. In place is in descriptors_outputs.c.
 */
#include "refusal.h"

#include <unistd.h>

enum { SLOT = 8192, ALIGNMENT = 8 };

/* The tensors of a call, each in the middle of a slot of its own. */
static _Alignas(64) char arena[(TENSORS + 1) * SLOT], arena_before[(TENSORS + 1) * SLOT];

static call make_arena_call(form form, dtype type, const variant *v) {
  call c = make_call(form, type, 4, 9, 3, v, false, 1);
  memset(arena, UNTOUCHED, sizeof arena);
  for (tensor t = 0; t < TENSORS; t++) {
    xent_tensor old = c.tensors[t];
    if (!c.has[t]) continue;
    c.tensors[t].data = arena + t * SLOT + SLOT / 2;
    if (!is_output(t)) copy_elements(&c.tensors[t], &old);
  }
  return c;
}

static void check_refused_in_arena(call *c, const xent_options *options, const xent_outputs *outputs, const char *name,
                                   const char *other, const char *what) {
  memcpy(arena_before, arena, sizeof arena);
  check_refused(c, options, outputs, XENT_ERR_OVERLAP, name, other, what);
  CHECK(!memcmp(arena, arena_before, sizeof arena), "%s: nothing is written: %s", call_label(c), what);
}

/* Moves an output to `offset` bytes from another tensor. */
static void check_offset(call *c, const call *expected, tensor output, tensor other, int64_t offset, bool allowed) {
  xent_options options;
  xent_outputs outputs;
  char what[120];
  const xent_tensor before = c->tensors[output];
  const char *name = tensor_name(c->form, output), *other_name = tensor_name(c->form, other);
  c->tensors[output].data = (char *)c->tensors[other].data + offset;
  snprintf(what, sizeof what, "%s %lld bytes from %s", name, (long long)offset, other_name);
  connect(c, &options, &outputs);
  if (allowed) {
    memcpy(arena_before, arena, sizeof arena);
    xent_status status = call_with(c, &options, &outputs, NULL);
    const char *different = status == XENT_OK ? different_output(c, expected) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: %s", call_label(c), what);
    memcpy(arena, arena_before, sizeof arena);
  } else {
    check_refused_in_arena(c, &options, &outputs, name, other_name, what);
  }
  c->tensors[output] = before;
}

static int64_t up(int64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }
static int64_t down(int64_t bytes) { return bytes / ALIGNMENT * ALIGNMENT; }

/* seen[t] has the tensors that output t has been put over, in whichever variant. */
static void check_tensors(form form, dtype type, const variant *v, uint64_t *seen) {
  call expected = make_call(form, type, 4, 9, 3, v, false, 1), c = make_arena_call(form, type, v);
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  for (tensor output = REDUCED_LOSS; output < TENSORS; output++)
    for (tensor other = LOGITS; c.has[output] && other < TENSORS; other++) {
      if (!c.has[other] || other == output || seen[output] >> other & 1) continue;
      seen[output] |= UINT64_C(1) << other;
      int64_t bytes = span_bytes(&c.tensors[output]), other_bytes = span_bytes(&c.tensors[other]);
      bool is_in_place = (output == GRAD_LOGITS || output == PROBS || output == LOG_PROBS) &&
                         (other == LOGITS || (other == TARGETS && form >= LOG_SOFTMAX_GRAD));
      if (!is_in_place) check_offset(&c, &expected, output, other, 0, false);
      if (other_bytes > ALIGNMENT) check_offset(&c, &expected, output, other, down(other_bytes - 1), false);
      if (bytes > ALIGNMENT) check_offset(&c, &expected, output, other, -down(bytes - 1), false);
      check_offset(&c, &expected, output, other, up(other_bytes), true);
      check_offset(&c, &expected, output, other, -up(bytes), true);
    }
  free_call(&expected);
  free_call(&c);
}

static const struct {
  const char *name;
  size_t offset;
  unsigned forms;
} sum_outputs[] = {{"correct", offsetof(xent_outputs, correct), 1 << CE_INDEX},
                   {"rows_counted", offsetof(xent_outputs, rows_counted), WITH_LOSS},
                   {"loss_sum", offsetof(xent_outputs, loss_sum), WITH_LOSS},
                   {"weight_sum", offsetof(xent_outputs, weight_sum), WITH_LOSS}};
enum { SUMS = sizeof sum_outputs / sizeof *sum_outputs };

static void check_sums(form form, dtype type, const variant *v, uint64_t *seen) {
  call c = make_arena_call(form, type, v);
  xent_options options;
  xent_outputs outputs;
  char what[120];
  for (int k = 0; k < SUMS; k++) {
    if (!(sum_outputs[k].forms >> form & 1)) continue;
    for (tensor other = LOGITS; other < TENSORS; other++) {
      if (!c.has[other] || seen[k] >> other & 1) continue;
      seen[k] |= UINT64_C(1) << other;
      connect(&c, &options, &outputs);
      void *inside = (char *)c.tensors[other].data + down(span_bytes(&c.tensors[other]) - 1);
      memcpy((char *)&outputs + sum_outputs[k].offset, &inside, sizeof inside);
      const char *name = tensor_name(form, other);
      snprintf(what, sizeof what, "%s at the end of %s", sum_outputs[k].name, name);
      check_refused_in_arena(&c, &options, &outputs, sum_outputs[k].name, name, what);
    }
    for (int other = 0; v == variants && other < k; other++) {
      if (!(sum_outputs[other].forms >> form & 1)) continue;
      connect(&c, &options, &outputs);
      memcpy((char *)&outputs + sum_outputs[k].offset, (char *)&outputs + sum_outputs[other].offset, sizeof(void *));
      snprintf(what, sizeof what, "%s the same as %s", sum_outputs[k].name, sum_outputs[other].name);
      check_refused_in_arena(&c, &options, &outputs, sum_outputs[k].name, sum_outputs[other].name, what);
    }
  }
  free_call(&c);
}

/* Two tensors of the logits' shape in one of twice the classes, side by side in every row, `gap` classes apart. */
static void check_columns(form form, dtype type, tensor left, tensor right, int64_t gap, int64_t outer_sign) {
  enum { CLASSES = 9, OUTER_SIZE = 4, WIDTH = 2 * CLASSES + 4 };
  call expected = make_call(form, type, OUTER_SIZE, CLASSES, 1, variants, false, 1);
  call c = make_call(form, type, OUTER_SIZE, CLASSES, 1, variants, false, 1);
  char *rows = calloc(OUTER_SIZE * WIDTH, sizeof(double)), what[160];
  REQUIRE(rows && run_call(&expected, NULL) == XENT_OK);
  for (int side = 0; side < 2; side++) {
    tensor t = side ? right : left;
    xent_tensor *x = &c.tensors[t], old = *x;
    x->outer_stride = outer_sign * WIDTH;
    place_at(x, rows + (side ? (CLASSES + gap) : 0) * (int64_t)xent_dtype_size(x->dtype));
    if (!is_output(t)) copy_elements(x, &old);
  }
  snprintf(what, sizeof what, "%s and %s in columns, %lld apart", tensor_name(form, left), tensor_name(form, right),
           (long long)gap);
  if (gap >= 0) {
    const char *different = run_call(&c, NULL) == XENT_OK ? different_output(&c, &expected) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: %s", call_label(&c), what);
  } else {
    c.has_sums = false;
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++) c.has[t] &= t == left || t == right;
    xent_options options;
    xent_outputs outputs;
    connect(&c, &options, &outputs);
    check_refused(&c, &options, &outputs, XENT_ERR_OVERLAP, tensor_name(form, left), tensor_name(form, right), what);
  }
  free(rows);
  free_call(&expected);
  free_call(&c);
}

/* The same memory, but not the same elements in the same places. */
static void check_not_in_place(form form, dtype type) {
  static const tensor outputs[] = {GRAD_LOGITS, PROBS, LOG_PROBS};
  for (size_t k = 0; k < sizeof outputs / sizeof *outputs; k++)
    for (int l = 1; l < layout_count; l++) {
      call c = make_call(form, type, 4, 4, 4, variants, false, 1);
      tensor t = outputs[k];
      xent_tensor other = in_layout(&c.tensors[LOGITS], &layouts[l]);
      /* Layouts of the very memory that the logits have. */
      if (c.has[t] && !layouts[l].broadcast && span_bytes(&other) == span_bytes(&c.tensors[LOGITS])) {
        char what[80];
        place_at(&other, c.tensors[LOGITS].data);
        c.tensors[t] = other;
        snprintf(what, sizeof what, "%s in place, but %s", tensor_name(form, t), layouts[l].name);
        check_call_refused(&c, XENT_ERR_OVERLAP, tensor_name(form, t), tensor_name(form, LOGITS), what);
      }
      free_call(&c);
    }
  if (type == F64) return;
  call c = make_call(form, type, 4, 4, 4, variants, false, 1);
  c.tensors[GRAD_LOGITS] = c.tensors[LOGITS];
  c.tensors[GRAD_LOGITS].dtype = type == BF16 ? XENT_F16 : XENT_BF16;
  check_call_refused(&c, XENT_ERR_OVERLAP, "grad_logits", tensor_name(form, LOGITS), "in place, but of another dtype");
  free_call(&c);
  if (!(WITH_PROBS >> form & 1)) return;
  c = make_call(form, type, 4, 4, 4, variants, false, 1);
  c.tensors[PROBS] = c.tensors[LOG_PROBS] = c.tensors[LOGITS];
  check_call_refused(&c, XENT_ERR_OVERLAP, "probs", "log_probs", "two outputs in one place");
  free_call(&c);
}

/* Inputs may be the same memory. */
static void check_inputs(form form, dtype type) {
  call apart = make_call(form, type, 4, 9, 3, variants, false, 1);
  call same = make_call(form, type, 4, 9, 3, variants, false, 1);
  copy_elements(&apart.tensors[TARGETS], &apart.tensors[LOGITS]);
  same.tensors[TARGETS] = same.tensors[LOGITS];
  bool done = run_call(&apart, NULL) == XENT_OK && run_call(&same, NULL) == XENT_OK;
  const char *different = done ? different_output(&same, &apart) : xent_last_error();
  because("%s", different ? different : "");
  CHECK(!different, "%s: %s and %s the same", call_label(&same), tensor_name(form, LOGITS), tensor_name(form, TARGETS));
  free_call(&apart);
  free_call(&same);
}

int main(void) {
  alarm(300);
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++) {
      uint64_t seen[TENSORS] = {0}, seen_sums[SUMS] = {0};
      for (int v = 0; v < variant_count; v++) {
        if (!(variants[v].forms >> form & 1)) continue;
        check_tensors(form, type, &variants[v], seen);
        check_sums(form, type, &variants[v], seen_sums);
      }
      for (int64_t gap = -1; gap < 3; gap++)
        for (int sign = -1; sign <= 1; sign += 2) {
          check_columns(form, type, LOGITS, GRAD_LOGITS, gap, sign);
          if (WITH_PROBS >> form & 1) check_columns(form, type, PROBS, LOG_PROBS, gap, sign);
          if (WITH_PROBS >> form & 1) check_columns(form, type, LOG_PROBS, LOGITS, gap, sign);
        }
      check_not_in_place(form, type);
      if (form == CE_PROBS || form == BINARY || form >= DIVERGENCE) check_inputs(form, type);
    }
  return check_summary();
}
