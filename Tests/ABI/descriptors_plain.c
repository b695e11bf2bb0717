/* SPDX-License-Identifier: Apache-2.0
 *
 * Every plain function against the descriptor call that it is short for: the same bits, with rows one behind the other
 * and with rows that lie side by side.
 */
#include "check.h"
#include "descriptors.h"

#include <math.h>
#include <unistd.h>

/* Beginnings of the plain functions' names, the longer first. */
static const struct {
  const char *name;
  form form;
} counterparts[] = {{"log_softmax_grad", LOG_SOFTMAX_GRAD}, {"softmax_grad", SOFTMAX_GRAD}, {"softmax", SOFTMAX},
                    {"log_softmax", SOFTMAX}, {"logsumexp", SOFTMAX}, {"nll", NLL}, {"cross_entropy", CE_INDEX},
                    {"binary_cross_entropy", BINARY}};

static form form_of(const operation *op) {
  for (size_t k = 0; k < sizeof counterparts / sizeof *counterparts; k++)
    if (!strncmp(op->name, counterparts[k].name, strlen(counterparts[k].name))) return counterparts[k].form;
  REQUIRE(!"a counterpart");
  return FORMS;
}

/* The tensor that an array is. */
static tensor tensor_of(form form, const array_spec *array, int32_t reduction) {
  if (!strcmp(array->name, "grad_lse")) return GRAD_LOSS;
  if (!strcmp(array->name, "loss")) return reduction == XENT_REDUCTION_NONE ? ROW_LOSS : REDUCED_LOSS;
  if (!strcmp(array->name, "grad_log_probs") && array->is_output) return GRAD_LOGITS;
  for (tensor t = 0; t < TENSORS; t++)
    if (is_taken(form, t) && is_output(t) == array->is_output && !strcmp(tensor_name(form, t), array->name)) return t;
  REQUIRE(!"a tensor");
  return TENSORS;
}

/* Where element n of a plain array is in a tensor: its rows are numbered outer * inner + i. */
static char *plain_element(const xent_tensor *t, int64_t n) {
  int64_t row = n / t->classes;
  return element_at(t, row / t->inner, n % t->classes, row % t->inner);
}

static void check_call(const operation *op, dtype type, const parameters *p, int64_t inner, const layout *l,
                       bool with_weights, bool is_wild) {
  form form = form_of(op);
  void *arrays[MAX_ARRAYS], *passed[MAX_ARRAYS];
  allocate_arrays(op, type, p, arrays);
  fill_arrays(op, type, p, arrays, (uint64_t)(p->rows * 31 + p->classes));
  if (is_wild)
    for (int64_t row = 0; row < p->rows && op->arrays[0].shape == MATRIX; row++)
      store(arrays[0], type, row * p->classes + row % p->classes, row % 3 ? -INFINITY : row % 2 ? INFINITY : NAN);
  memcpy(passed, arrays, sizeof passed);
  if (!with_weights) drop_weights(op, passed);

  const char *options = form == SOFTMAX ? "sum, upstream" : form > DIVERGENCE ? "defaults" : "weights, mean";
  call c = make_call(form, type, p->rows / inner, p->classes, inner, variant_named(options), false, 1);
  c.options.reduction = p->reduction;
  c.options.ignore_index = p->ignore_index;
  for (tensor t = WEIGHT; t < TENSORS; t++) c.has[t] = false;
  for (int k = 0; k < op->count; k++) {
    tensor t = tensor_of(form, &op->arrays[k], p->reduction);
    const xent_tensor *x = &c.tensors[t];
    c.has[t] = passed[k] != NULL;
    if (!passed[k]) continue;
    move_tensor(&c, t, l);
    REQUIRE(tensor_count(x) == element_count(&op->arrays[k], p));
    REQUIRE(xent_dtype_size(x->dtype) == element_size(&op->arrays[k], type));
    for (int64_t n = 0; n < tensor_count(x) && !op->arrays[k].is_output; n++)
      memcpy(plain_element(x, n), (char *)arrays[k] + (size_t)n * xent_dtype_size(x->dtype), xent_dtype_size(x->dtype));
  }

  xent_status plain = op->call[type](passed, p), status = run_call(&c, NULL);
  because("%d, %d: %s", (int)plain, (int)status, xent_last_error());
  bool fine = CHECK(plain == XENT_OK && status == XENT_OK, "%s and its descriptor call", function_name(op, type));
  for (int k = 0; k < op->count && fine; k++) {
    if (!op->arrays[k].is_output) continue;
    const xent_tensor *x = &c.tensors[tensor_of(form, &op->arrays[k], p->reduction)];
    void *row_major = malloc(array_bytes(&op->arrays[k], type, p) + 1);
    for (int64_t n = 0; n < tensor_count(x); n++)
      memcpy((char *)row_major + (size_t)n * xent_dtype_size(x->dtype), plain_element(x, n), xent_dtype_size(x->dtype));
    CHECK(same_values(row_major, arrays[k], &op->arrays[k], type, tensor_count(x)),
          "%s and %s, %s, %lld x %lld (inner %lld), reduction %d%s%s: the same %s", function_name(op, type),
          form_specs[form].function, l->name, (long long)p->rows, (long long)p->classes, (long long)inner,
          (int)p->reduction, with_weights ? ", weights" : "", is_wild ? ", not finite" : "", op->arrays[k].name);
    free(row_major);
  }
  free_call(&c);
  free_arrays(op, arrays);
}

int main(void) {
  static const int64_t shapes[][3] = {{1, 1, 1}, {7, 5, 1}, {6, 9, 3}, {60, 4, 20},
                                     {12, 65, 1}, {14, 130, 7}, {2, 5000, 1}};
  alarm(300);
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++)
      for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        for (int32_t reduction = 0; reduction < (operations[k].has_reduction ? REDUCTIONS : 1); reduction++)
          for (int with_weights = 0; with_weights <= has_weights(&operations[k]); with_weights++)
            for (int is_wild = 0; is_wild < 2; is_wild++) {
              parameters p = {shapes[s][0], shapes[s][1], is_wild ? 1 : XENT_IGNORE_INDEX, reduction};
              const layout *l = &layouts[(s + (size_t)reduction) % 4 * (size_t)is_wild];
              check_call(&operations[k], type, &p, shapes[s][2], l, with_weights, is_wild);
            }
  return check_summary();
}
