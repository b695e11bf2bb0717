/* SPDX-License-Identifier: Apache-2.0
 *
 * Floating tensors of every dtype that goes with the logits': inputs of the same values give the same bits, an output
 * of 16 bits is that of f32 rounded, give or take a neighbour, and does not change any other.
 */
#include "check.h"
#include "descriptors.h"

#include <math.h>
#include <unistd.h>

/* Values that every dtype has: eighths of a few units. -inf and 0 and 1 stay. */
static void coarsen(const xent_tensor *t) {
  for (int64_t o = 0; o < t->outer; o++)
    for (int64_t j = 0; j < t->classes; j++)
      for (int64_t i = 0; i < t->inner; i++)
        if (is_floating(t->dtype)) store_element(t, o, j, i, floor(8 * load_element(t, o, j, i)) / 8);
}

static call make_coarse_call(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v) {
  call c = make_call(form, type, outer, classes, inner, v, true, 21);
  for (tensor t = 0; t < REDUCED_LOSS; t++)
    if (c.has[t]) coarsen(&c.tensors[t]);
  return c;
}

static bool is_pair(dtype type, xent_dtype other) { return (type == F64) == (other == XENT_F64); }

static void check_inputs(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v) {
  call expected = make_coarse_call(form, type, outer, classes, inner, v);
  xent_status status = run_call(&expected, NULL);
  because("%s", xent_last_error());
  if (!CHECK(status == XENT_OK, "%s, coarse", call_label(&expected))) return free_call(&expected);
  for (tensor t = TARGETS; t < REDUCED_LOSS; t++)
    for (xent_dtype other = XENT_F32; expected.has[t] && other <= XENT_BF16; other++) {
      if (!is_floating(expected.tensors[t].dtype) || !is_pair(type, other)) continue;
      call c = make_coarse_call(form, type, outer, classes, inner, v);
      retype_tensor(&c, t, other);
      move_tensor(&c, t, &layouts[(int)(t * 3 + other) % 11]);
      xent_status status = run_call(&c, NULL);
      const char *different = status == XENT_OK ? different_output(&c, &expected) : xent_last_error();
      because("%s", different ? different : "");
      CHECK(!different, "%s: %s of %s", call_label(&c), tensor_name(form, t), dtype_name((dtype)(other - XENT_F32)));
      free_call(&c);
    }
  free_call(&expected);
}

/* 16-bit numbers in the order of their values. */
static int ordered(const void *number) {
  uint16_t bits;
  memcpy(&bits, number, sizeof bits);
  return bits >> 15 ? -(bits & 0x7FFF) : bits;
}

/* Whether a 16-bit tensor is one of f32 rounded, or next to it; where there is a NaN, there is. */
static bool is_near(const xent_tensor *narrow, const xent_tensor *wide) {
  for (int64_t o = 0; o < wide->outer; o++)
    for (int64_t j = 0; j < wide->classes; j++)
      for (int64_t i = 0; i < wide->inner; i++) {
        double x = load_element(narrow, o, j, i), y = load_element(wide, o, j, i);
        uint16_t rounded;
        store(&rounded, (dtype)(narrow->dtype - XENT_F32), 0, y);
        if (isnan(x) != isnan(y)) return false;
        if (!isnan(x) && abs(ordered(element_at(narrow, o, j, i)) - ordered(&rounded)) > 1) return false;
      }
  return true;
}

/* The outputs of the logits' shape in each dtype, whatever the logits are. */
static void check_outputs(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v) {
  static const tensor outputs[] = {GRAD_LOGITS, PROBS, LOG_PROBS};
  call calls[BF16 + 1]; /* by the outputs' dtype */
  for (dtype output = F32; output <= BF16; output++) {
    if (output == F64) continue;
    call *c = &calls[output];
    *c = make_call(form, type, outer, classes, inner, v, true, 23);
    for (size_t k = 0; k < 3; k++)
      if (c->has[outputs[k]]) retype_tensor(c, outputs[k], (xent_dtype)output + XENT_F32);
    xent_status status = run_call(c, NULL);
    because("%s", xent_last_error());
    CHECK(status == XENT_OK, "%s: %s outputs", call_label(c), dtype_name(output));
  }
  for (dtype output = F16; output <= BF16; output++) {
    call *c = &calls[output];
    for (size_t k = 0; k < 3; k++) {
      tensor t = outputs[k];
      if (!c->has[t]) continue;
      CHECK(is_rest_untouched(c, t), "%s: %s of %s writes 2 bytes", call_label(c), tensor_name(form, t),
            dtype_name(output));
      CHECK(is_near(&c->tensors[t], &calls[F32].tensors[t]), "%s: %s of %s is that of f32 rounded", call_label(c),
            tensor_name(form, t), dtype_name(output));
      c->has[t] = false;
    }
    const char *different = different_output(c, &calls[F32]);
    because("%s", different ? different : "");
    CHECK(!different, "%s: the other outputs do not change with %s", call_label(c), dtype_name(output));
    free_call(c);
  }
  free_call(&calls[F32]);
}

/* 0 and 1 as bytes. */
static void check_byte_labels(dtype type) {
  for (int v = 0; v < variant_count; v++) {
    if (!(variants[v].forms >> BINARY & 1)) continue;
    call floats = make_call(BINARY, type, 7, 33, 5, &variants[v], true, 25);
    const xent_tensor *targets = &floats.tensors[TARGETS];
    for (int64_t n = 0; n < tensor_count(targets); n++)
      store(targets->data, type, n, load(targets->data, type, n) > 0.4);
    call bytes = make_call(BINARY, type, 7, 33, 5, &variants[v], true, 25);
    copy_elements(&bytes.tensors[TARGETS], targets);
    retype_tensor(&bytes, TARGETS, XENT_U8);
    move_tensor(&bytes, TARGETS, &layouts[v % 11]);
    bool done = run_call(&floats, NULL) == XENT_OK && run_call(&bytes, NULL) == XENT_OK;
    const char *different = done ? different_output(&bytes, &floats) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: targets of u8", call_label(&bytes));
    free_call(&floats);
    free_call(&bytes);
  }
}

int main(void) {
  static const int64_t shapes[][3] = {{6, 7, 1}, {3, 20, 4}, {1, 70, 33}, {9, 130, 1}};
  alarm(300);
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++)
      for (int v = 0; v < variant_count; v++) {
        if (!(variants[v].forms >> form & 1)) continue;
        const int64_t *shape = shapes[(v + (int)type) % 4];
        check_inputs(form, type, shape[0], shape[1], shape[2], &variants[v]);
        if (type != F64) check_outputs(form, type, shape[0], shape[1], shape[2], &variants[v]);
      }
  for (dtype type = F32; type < DTYPES; type++) check_byte_labels(type);
  return check_summary();
}
