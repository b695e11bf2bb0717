/* SPDX-License-Identifier: Apache-2.0
 *
 * digest [small]: one line "<function> <small|large> <64-bit FNV-1a of every output bit>" for each function and dtype;
 * for a descriptor function "<function> <dtype> ...", over all its outputs with every set of options.
 *
 * The bits are the same at every CPU level, for every number of threads, static or shared, and from version to version
 * (Tests/Golden/digest.txt). The corpus is made of integers and exact operations only, never with a libm; a NaN counts
 * as one value whatever its payload. The large half is there to be cut up among threads; under an emulator it is slow.
 */
#include "corpus.h"
#include "descriptors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Between 0 and 1, and a third each of just these. */
static void fill_shares(void *matrix, dtype type, int64_t count, uint64_t seed) {
  for (int64_t n = 0; n < count; n++) {
    int64_t third = pick(&seed, 0, 2);
    store(matrix, type, n, third == 2 ? random_unit(&seed) / 2 + 0.5 : (double)third);
  }
}

static void fill(const operation *op, dtype type, const parameters *p, void **arrays, int first_style, uint64_t seed) {
  fill_arrays(op, type, p, arrays, seed); /* targets, and a pattern in the outputs */
  for (int k = 0; k < op->count; k++) {
    const array_spec *array = &op->arrays[k];
    if (array->is_output || array->is_int64) continue;
    if (!strcmp(array->name, "targets") || !strcmp(array->name, "probs")) {
      fill_shares(arrays[k], type, p->rows * p->classes, seed + (uint64_t)k);
    } else if (array->shape == MATRIX) {
      fill_matrix(arrays[k], type, p->rows, p->classes, first_style, !strcmp(array->name, "log_probs"),
                  seed + (uint64_t)k);
    } else {
      uint64_t state = seed + 100;
      for (int64_t n = 0; n < element_count(array, p); n++) {
        double u = random_unit(&state), magnitude = (u < 0 ? -u : u) * power_of_two(pick(&state, -20, 20));
        store(arrays[k], element_type(array, type), n, n % 7 == 3 ? 0 : n % 7 == 5 ? u : magnitude);
      }
    }
  }
}

static void hash_bytes(uint64_t *hash, uint64_t value, size_t bytes) {
  for (size_t k = 0; k < bytes; k++) *hash = (*hash ^ (value >> 8 * k & 0xFF)) * UINT64_C(0x100000001B3);
}

static void hash_number(uint64_t *hash, const void *number, dtype type) {
  static const struct {
    uint64_t sign, infinity, nan;
  } patterns[DTYPES] = {[F32] = {UINT64_C(1) << 31, 0x7F800000, 0x7FC00000},
                        [F64] = {UINT64_C(1) << 63, UINT64_C(0x7FF) << 52, UINT64_C(0xFFF) << 51},
                        [F16] = {UINT64_C(1) << 15, 0x7C00, 0x7E00},
                        [BF16] = {UINT64_C(1) << 15, 0x7F80, 0x7FC0}};
  uint64_t bits = 0; /* little-endian, as every platform so far */
  memcpy(&bits, number, dtype_size(type));
  bool is_nan = (bits & ~patterns[type].sign) > patterns[type].infinity;
  hash_bytes(hash, is_nan ? patterns[type].nan : bits, dtype_size(type));
}

static void hash_array(uint64_t *hash, const void *array, dtype type, int64_t count) {
  for (int64_t n = 0; n < count; n++) hash_number(hash, (const char *)array + n * (int64_t)dtype_size(type), type);
}

static void hash_outputs(uint64_t *hash, const operation *op, dtype type, const parameters *p, void *const *arrays) {
  for (int k = 0; k < op->count; k++)
    if (op->arrays[k].is_output)
      hash_array(hash, arrays[k], element_type(&op->arrays[k], type), element_count(&op->arrays[k], p));
}

static void digest_call(uint64_t *hash, const operation *op, dtype type, const parameters *p, bool with_weights,
                        int first_style, uint64_t seed) {
  void *arrays[MAX_ARRAYS] = {0}, *passed[MAX_ARRAYS];
  allocate_arrays(op, type, p, arrays);
  fill(op, type, p, arrays, first_style, seed);
  memcpy(passed, arrays, sizeof passed);
  if (!with_weights) drop_weights(op, passed);
  if (op->call[type](passed, p) != XENT_OK) {
    printf("not ok - %s\n", xent_last_error());
    exit(1);
  }
  hash_outputs(hash, op, type, p, arrays);
  free_arrays(op, arrays);
}

/* Every shape with every style; a small one in every reduction, with weights and without. A mean over rows of which one
 * is NaN says little, so the reductions also get shapes of ordinary rows alone (a single row has a single style). */
static uint64_t digest_small(const operation *op, dtype type) {
  static const int64_t classes[] = {1,   2,   3,   5,   8,   13,  16,   17,   31,   64,
                                    127, 128, 129, 200, 257, 1000, 2047, 2048, 2049, 5000};
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) {
    bool is_narrow = classes[k] <= 64;
    for (int variant = 0; variant < (op->has_reduction ? 6 : 1); variant++) {
      parameters p = {STYLES, classes[k], variant % 2 ? 0 : XENT_IGNORE_INDEX, (int32_t)(variant % 3)};
      if (is_narrow || variant == (int)(k % 6) || !op->has_reduction)
        digest_call(&hash, op, type, &p, variant >= 3, 0, 1000 * k + (uint64_t)variant);
      p.rows = 1;
      if (is_narrow)
        for (int style = 0; style < STYLES; style++)
          digest_call(&hash, op, type, &p, variant >= 3, style, 1000 * k + 10 * (uint64_t)style + (uint64_t)variant);
    }
  }
  return hash;
}

static uint64_t digest_large(const operation *op, dtype type) {
  static const struct {
    int64_t rows, classes;
  } shapes[] = {{4096, 65}, {301, 2500}, {2, 200003}};
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    parameters p = {shapes[k].rows, shapes[k].classes, XENT_IGNORE_INDEX, (int32_t)(k % 3)};
    digest_call(&hash, op, type, &p, k % 2, 0, k);
    /* Without rows that are NaN, so that a reduction over many rows has a value: row by row, one ordinary style. */
    if (!op->has_reduction) continue;
    void *arrays[MAX_ARRAYS];
    allocate_arrays(op, type, &p, arrays);
    for (p.reduction = XENT_REDUCTION_MEAN; p.reduction <= XENT_REDUCTION_SUM; p.reduction++) {
      fill_arrays(op, type, &p, arrays, k);
      if (op->call[type](arrays, &p) != XENT_OK) exit(1);
      hash_outputs(&hash, op, type, &p, arrays);
    }
    free_arrays(op, arrays);
  }
  return hash;
}

/* ---- Descriptors ------------------------------------------------------------------------------------------------ */

static void hash_tensor(uint64_t *hash, const xent_tensor *t) {
  for (int64_t o = 0; o < t->outer; o++)
    for (int64_t c = 0; c < t->classes; c++)
      for (int64_t i = 0; i < t->inner; i++)
        if (is_floating(t->dtype)) hash_number(hash, element_at(t, o, c, i), (dtype)(t->dtype - XENT_F32));
        else hash_bytes(hash, (uint64_t)load_integer(t, o, c, i), sizeof(int64_t));
}

static void digest_variant(uint64_t *hash, form form, dtype type, const int64_t *shape, int v, bool is_wild) {
  call c = make_call(form, type, shape[0], shape[1], shape[2], &variants[v], is_wild, (uint64_t)(shape[1] + v));
  for (tensor t = 0; t < TENSORS; t++)
    if (c.has[t]) move_tensor(&c, t, &layouts[(v + (int)t) % 4]);
  if (run_call(&c, NULL) != XENT_OK) {
    printf("not ok - %s: %s\n", call_label(&c), xent_last_error());
    exit(1);
  }
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
    if (c.has[t]) hash_tensor(hash, &c.tensors[t]);
  if (c.has_sums) {
    hash_array(hash, &c.sums.loss_sum, F64, 1);
    hash_array(hash, &c.sums.weight_sum, F64, 1);
    hash_bytes(hash, (uint64_t)c.sums.rows_counted, sizeof c.sums.rows_counted);
    if (form == CE_INDEX) hash_bytes(hash, (uint64_t)c.sums.correct, sizeof c.sums.correct);
  }
  free_call(&c);
}

/* All forms of a function. */
static uint64_t digest_descriptors(form first, form last, dtype type, bool is_large) {
  static const int64_t small[][3] = {{16, 1, 1}, {8, 3, 2},    {24, 17, 1}, {2, 40, 12},
                                     {1, 5, 70}, {16, 130, 1}, {4, 300, 3}, {8, 2050, 1}};
  static const int64_t large[][3] = {{600, 257, 1}, {2, 70, 1200}, {2, 70001, 1}};
  const int64_t(*shapes)[3] = is_large ? large : small;
  size_t count = is_large ? sizeof large / sizeof *large : sizeof small / sizeof *small;
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  for (form form = first; form <= last; form++)
    for (int v = 0; v < variant_count; v++)
      for (size_t s = 0; s < count; s++) {
        if (!(variants[v].forms >> form & 1) || (is_large && (size_t)v % (2 * count) != s)) continue;
        digest_variant(&hash, form, type, shapes[s], v, false);
        if (!is_large) digest_variant(&hash, form, type, shapes[s], v, true);
      }
  return hash;
}

static void print_descriptors(bool only_small) {
  for (form first = 0, last; first < FORMS; first = last + 1) {
    last = first;
    while (last + 1 < FORMS && !strcmp(form_specs[last + 1].function, form_specs[first].function)) last++;
    for (dtype type = F32; type < DTYPES; type++)
      for (int is_large = 0; is_large <= !only_small; is_large++)
        printf("%s %s %s %016" PRIx64 "\n", form_specs[first].function, dtype_name(type), is_large ? "large" : "small",
               digest_descriptors(first, last, type, is_large));
  }
}

int main(int count, char **arguments) {
  bool only_plain = count == 2 && !strcmp(arguments[1], "plain");
  bool only_small = only_plain || (count == 2 && !strcmp(arguments[1], "small"));
  if (count > 1 && !only_small) return 2;
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++) {
      printf("%s small %016" PRIx64 "\n", function_name(&operations[k], type), digest_small(&operations[k], type));
      if (!only_small)
        printf("%s large %016" PRIx64 "\n", function_name(&operations[k], type), digest_large(&operations[k], type));
    }
  if (!only_plain) print_descriptors(only_small);
  return 0;
}
