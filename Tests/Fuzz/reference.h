/* SPDX-License-Identifier: Apache-2.0
 *
 * The formulas of xent.h as they stand there, one element after the other, and the bounds that the header states: what
 * the fuzzers compare with. Nothing of it is the library's.
 */
#ifndef REFERENCE_H
#define REFERENCE_H

#include "../ABI/descriptors.h"

/* The classes that the reference has room for. */
enum { REFERENCE_CLASSES = 4200 };

/* A call that has succeeded: the inputs as they were before it, the outputs as they are now. NULL where there is none. */
typedef struct {
  form form;
  dtype type;
  const xent_tensor *tensors[TENSORS];
  xent_options options;
  const int64_t *correct, *rows_counted;
  const double *loss_sum, *weight_sum;
} finished_call;

/* NULL when every output is within its bound, otherwise what is not. In double, which is enough for 16- and 32-bit
 * dtypes but for divergences, and in long double. */
const char *mismatch_double(const finished_call *c);
const char *mismatch_long_double(const finished_call *c);

#endif
