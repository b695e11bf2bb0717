/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs of a descriptor call, whichever are wanted: the same bits alone, with some others and with all; what is not
 * wanted is not written. And in place of an input, in every layout.
 */
#include "check.h"
#include "descriptors.h"

#include <unistd.h>

static const int64_t shapes[][3] = {{5, 7, 1}, {3, 20, 4}, {2, 300, 1}, {1, 65, 33}, {1, 2100, 2}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static const struct {
  const char *name;
  size_t in_outputs, in_sums;
} sum_specs[] = {{"correct", offsetof(xent_outputs, correct), offsetof(sums, correct)},
                 {"rows_counted", offsetof(xent_outputs, rows_counted), offsetof(sums, rows_counted)},
                 {"loss_sum", offsetof(xent_outputs, loss_sum), offsetof(sums, loss_sum)},
                 {"weight_sum", offsetof(xent_outputs, weight_sum), offsetof(sums, weight_sum)}};
enum { SUMS = sizeof sum_specs / sizeof *sum_specs };

/* Runs with the outputs in `wanted` (bits of tensors) and `wanted_sums` alone. NULL when they are the expected ones and
 * nothing else is written. */
static const char *run_subset(call *c, uint64_t wanted, unsigned wanted_sums, const call *expected) {
  xent_options options;
  xent_outputs outputs;
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++) {
    c->has[t] = expected->has[t] && wanted >> t & 1;
    if (c->blocks[t]) memset(c->blocks[t], UNTOUCHED, c->block_bytes[t]);
  }
  c->has_sums = expected->has_sums;
  connect(c, &options, &outputs);
  for (int k = 0; k < SUMS; k++)
    if (!(wanted_sums >> k & 1)) memset((char *)&outputs + sum_specs[k].in_outputs, 0, sizeof(void *));
  bool is_wanted[SUMS];
  for (int k = 0; k < SUMS; k++) {
    void *pointer;
    memcpy(&pointer, (char *)&outputs + sum_specs[k].in_outputs, sizeof pointer);
    is_wanted[k] = pointer != NULL;
  }
  c->has_sums = false; /* compared below, one by one */
  if (call_with(c, &options, &outputs, NULL) != XENT_OK) return xent_last_error();
  const char *different = different_output(c, expected);
  if (different) return different;
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
    for (size_t k = 0; !c->has[t] && c->blocks[t] && k < c->block_bytes[t]; k++)
      if (((char *)c->blocks[t])[k] != UNTOUCHED) return "what is not wanted";
  for (int k = 0; k < SUMS && expected->has_sums; k++) {
    char untouched[8];
    memset(untouched, UNTOUCHED, sizeof untouched);
    const char *wanted_bits = is_wanted[k] ? (const char *)&expected->sums + sum_specs[k].in_sums : untouched;
    if (memcmp((const char *)&c->sums + sum_specs[k].in_sums, wanted_bits, 8)) return sum_specs[k].name;
  }
  return NULL;
}

static void check_subsets(form form, dtype type, int v, const int64_t *shape, bool is_wild) {
  uint64_t seed = (uint64_t)(form * 100 + v);
  call all = make_call(form, type, shape[0], shape[1], shape[2], &variants[v], is_wild, seed);
  call c = make_call(form, type, shape[0], shape[1], shape[2], &variants[v], is_wild, seed);
  const char *different = run_call(&all, NULL) == XENT_OK ? NULL : xent_last_error();
  const char *subset = "all";
  uint64_t state = seed;
  bool has_reduced = all.has[REDUCED_LOSS];
  for (tensor t = REDUCED_LOSS; !different && form < LOG_SOFTMAX_GRAD && t < TENSORS; t++)
    if (all.has[t] && (different = run_subset(&c, UINT64_C(1) << t, 0, &all))) subset = tensor_name(form, t);
  for (int k = 0; !different && all.has_sums && k < SUMS; k++)
    if ((different = run_subset(&c, 0, 1u << k, &all))) subset = sum_specs[k].name;
  for (int k = 0; !different && form < LOG_SOFTMAX_GRAD && k < 8; k++) {
    uint64_t bits = random_bits(&state);
    if ((different = run_subset(&c, bits, (unsigned)(bits >> 60), &all))) subset = "some";
  }
  if (!different && form < LOG_SOFTMAX_GRAD && (different = run_subset(&c, 0, 0, &all))) subset = "none";
  because("%s wanted: %s", subset, different ? different : "");
  CHECK(!different && all.has[REDUCED_LOSS] == has_reduced, "%s%s: outputs in any company", call_label(&all),
        is_wild ? ", not finite" : "");
  free_call(&all);
  free_call(&c);
}

/* The gradient of xent_nll needs no log-probabilities. */
static void check_nll_without_log_probs(dtype type) {
  call c = make_call(NLL, type, 5, 7, 3, variant_named("weights, mean"), false, 1);
  call without = make_call(NLL, type, 5, 7, 3, variant_named("weights, mean"), false, 1);
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++) without.has[t] = t == GRAD_LOGITS;
  without.has_sums = false;
  without.tensors[LOGITS].data = NULL;
  bool fine = run_call(&c, NULL) == XENT_OK && run_call(&without, NULL) == XENT_OK;
  because("%s", xent_last_error());
  CHECK(fine && !different_output(&without, &c), "xent_nll %s: the gradient without log_probs.data", dtype_name(type));
  free_call(&c);
  free_call(&without);
}

/* ---- In place --------------------------------------------------------------------------------------------------- */

static void check_in_place(form form, dtype type, int v, const int64_t *shape, tensor output, tensor input) {
  bool is_large = shape[0] * shape[1] * shape[2] > 100000;
  uint64_t seed = (uint64_t)(form * 100 + v + 50);
  call expected = make_call(form, type, shape[0], shape[1], shape[2], &variants[v], true, seed);
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  const char *wrong = NULL, *where = "";
  for (int l = 0; l < layout_count; l++) {
    if (layouts[l].broadcast || (is_large && l % 5 != 1)) continue;
    call c = make_call(form, type, shape[0], shape[1], shape[2], &variants[v], true, seed);
    move_tensor(&c, input, &layouts[l]);
    c.tensors[output] = c.tensors[input];
    /* Where there is only one element along an axis, its stride is nobody's business. */
    if (c.inner == 1) c.tensors[output].inner_stride = 4711;
    const char *different = run_call(&c, NULL) == XENT_OK ? different_output(&c, &expected) : xent_last_error();
    if (!different && !is_rest_untouched(&c, input)) different = "a byte beside the elements";
    if (different) wrong = different, where = layouts[l].name;
    free_call(&c);
  }
  because("%s: %s", where, wrong ? wrong : "");
  CHECK(!wrong, "%s: %s in place of %s", call_label(&expected), tensor_name(form, output), tensor_name(form, input));
  free_call(&expected);
}

static void check_all_in_place(form form, dtype type, int v) {
  static const int64_t large[3] = {24, 130, 48}; /* for threads */
  static const tensor outputs[] = {GRAD_LOGITS, PROBS, LOG_PROBS};
  for (size_t k = 0; k < sizeof outputs / sizeof *outputs; k++)
    for (tensor input = LOGITS; input <= TARGETS; input++) {
      if (!is_taken(form, outputs[k]) || (input == TARGETS && form < LOG_SOFTMAX_GRAD)) continue;
      check_in_place(form, type, v, shapes[(v + (int)k) % SHAPES], outputs[k], input);
      if (v == 0) check_in_place(form, type, v, large, outputs[k], input);
    }
}

int main(void) {
  alarm(600);
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++)
      for (int v = 0; v < variant_count; v++) {
        if (!(variants[v].forms >> form & 1)) continue;
        for (int k = 0; k < 2; k++)
          check_subsets(form, type, v, shapes[(v + (int)type + 2 * k) % SHAPES], k ^ (v / SHAPES & 1));
        check_all_in_place(form, type, v);
      }
  for (dtype type = F32; type < DTYPES; type++) check_nll_without_log_probs(type);
  return check_summary();
}
