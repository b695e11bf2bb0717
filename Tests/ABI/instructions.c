/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls with fixed inputs, one at a time, for callgrind to count: Tests/Audit/instructions.py runs it and knows what is
 * to come out. Every kernel with rows of few classes and of many, and the smallest call there is, in one thread.
 */
#include "descriptors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

/* rows, classes: the door, a tile and a few rows more, chunks */
static const int64_t shapes[][2] = {{1, 10}, {20, 30}, {3, 3000}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Descriptor calls beside the plain functions: a kernel's other ways. */
static const struct {
  form form;
  const char *variant;
  bool is_all; /* every output, otherwise the loss alone */
} others[] = {{CE_INDEX, "defaults", false}, {CE_INDEX, "defaults", true},        {CE_INDEX, "focal, poly", true},
              {CE_INDEX, "everything", true}, {CE_SPARSE, "smoothed", true},      {CE_PROBS, "z of x", true},
              {DIVERGENCE, "defaults", true}, {DIVERGENCE, "Jensen-Shannon", true}};
enum { OTHERS = sizeof others / sizeof *others };

/* The instructions of `statement`, once everything that happens but once has happened. */
#define COUNT(name, statement)                                        \
  do {                                                                \
    for (int turn = 0; turn < 2; turn++) {                            \
      if (turn) CALLGRIND_TOGGLE_COLLECT;                             \
      xent_status status = statement;                                 \
      if (turn) CALLGRIND_TOGGLE_COLLECT;                             \
      if (status) {                                                   \
        printf("%s: %s\n", name, xent_last_error());                  \
        exit(1);                                                      \
      }                                                               \
    }                                                                 \
    CALLGRIND_DUMP_STATS_AT(name);                                    \
  } while (0)

static void count_plain(const operation *op, dtype type, int64_t rows, int64_t classes) {
  parameters p = {rows, classes, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN};
  void *arrays[MAX_ARRAYS];
  char name[100];
  allocate_arrays(op, type, &p, arrays);
  fill_arrays(op, type, &p, arrays, 1);
  drop_weights(op, arrays);
  snprintf(name, sizeof name, "%s %" PRId64 "x%" PRId64, function_name(op, type), rows, classes);
  COUNT(name, op->call[type](arrays, &p));
  free_arrays(op, arrays);
}

static void count_other(form form, const char *options, bool is_all, int64_t rows, int64_t classes) {
  char name[100];
  call c = make_call(form, F32, rows, classes, 1, variant_named(options), false, 1);
  for (tensor t = 0; t < TENSORS; t++) c.has[t] &= is_all || !is_output(t) || t == REDUCED_LOSS;
  c.has_sums = is_all;
  snprintf(name, sizeof name, "%s (%s, %s) %" PRId64 "x%" PRId64, form_specs[form].label, options,
           is_all ? "every output" : "the loss", rows, classes);
  xent_options o;
  xent_outputs wanted;
  connect(&c, &o, &wanted);
  COUNT(name, call_with(&c, &o, &wanted, NULL));
  free_call(&c);
}

int main(void) {
  if (xent_set_num_threads(1)) return 1;
  for (int s = 0; s < SHAPES; s++) {
    for (int k = 0; k < operation_count; k++)
      for (dtype type = F32; type < DTYPES; type++) count_plain(&operations[k], type, shapes[s][0], shapes[s][1]);
    for (int k = 0; k < OTHERS; k++)
      count_other(others[k].form, others[k].variant, others[k].is_all, shapes[s][0], shapes[s][1]);
  }
  return 0;
}
