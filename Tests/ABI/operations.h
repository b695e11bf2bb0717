/* SPDX-License-Identifier: Apache-2.0
 *
 * Every operation of xent.h as data: which arrays it takes, of which shape, and what may be NULL or the same. A test
 * written over this table runs for all of them; a new operation is a new row.
 */
#ifndef OPERATIONS_H
#define OPERATIONS_H

#include <xent.h>

#include <stdbool.h>
#include <stddef.h>

enum { MAX_ARRAYS = 6, REDUCTIONS = 4 };

/* In the order of XENT_F32 and the next three. */
typedef enum { F32, F64, F16, BF16, DTYPES } dtype;

/* For reduction none LOSS is [rows] and MATRIX_LOSS [rows, classes]; otherwise both are one element. */
typedef enum { MATRIX, PER_ROW, PER_CLASS, LOSS, MATRIX_LOSS } shape;

typedef struct {
  const char *name; /* as in the header, and in error texts */
  shape shape;
  bool is_output, is_int64, is_nullable;
  unsigned in_place; /* bit k: may be the same array as arrays[k] */
} array_spec;

typedef struct {
  int64_t rows, classes, ignore_index;
  int32_t reduction;
} parameters;

typedef struct {
  const char *name;
  bool has_options; /* targets, weight, ignore_index and reduction */
  bool has_reduction;
  int count;
  array_spec arrays[MAX_ARRAYS]; /* in the order of the function's parameters */
  xent_status (*call[DTYPES])(void *const *arrays, const parameters *p);
} operation;

extern const operation operations[];
extern const int operation_count;

/* "xent_softmax_f32"; the text lives until the second call after this one. */
const char *function_name(const operation *op, dtype type);
const char *dtype_name(dtype type);

/* What an array holds in the function of `type`: float where a 16-bit type has the matrices only. Not for targets. */
dtype element_type(const array_spec *array, dtype type);
size_t element_size(const array_spec *array, dtype type);
int64_t element_count(const array_spec *array, const parameters *p);
size_t array_bytes(const array_spec *array, dtype type, const parameters *p);

/* The index of the array with this name, or -1. */
int array_index(const operation *op, const char *name);

bool has_weights(const operation *op);
/* The inputs that may be NULL become so. */
void drop_weights(const operation *op, void **arrays);

size_t dtype_size(dtype type);
/* The values of an array of dtype. A value that is none of its type's is rounded to nearest even. */
double load(const void *array, dtype type, int64_t index);
void store(void *array, dtype type, int64_t index, double value);

/* Whether two arrays hold the same values bit for bit; two NaNs count as the same whatever their payload. */
bool same_values(const void *a, const void *b, const array_spec *array, dtype type, int64_t count);

/* Integers, and floats made from them exactly: the same on every machine and with every libm. */
uint64_t random_bits(uint64_t *state);
double random_unit(uint64_t *state); /* in [-1, 1), a multiple of 2^-31 */

/* Inputs that make an ordinary call: logits of a few units, log-probabilities not above 0, positive weights, targets
 * of which one in eight is ignored. Every byte of the outputs becomes 0xA5. arrays[k] may be NULL. */
void fill_arrays(const operation *op, dtype type, const parameters *p, void *const *arrays, uint64_t seed);

/* Fresh arrays of the right sizes; one of no elements still gets an address. Gone after free_arrays. */
void allocate_arrays(const operation *op, dtype type, const parameters *p, void **arrays);
void free_arrays(const operation *op, void **arrays);

#endif
