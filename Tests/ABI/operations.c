/* SPDX-License-Identifier: Apache-2.0 */
#include "operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT(name, shape) {name, shape, false, false, false, 0}
#define OUTPUT(name, shape, in_place) {name, shape, true, false, false, in_place}
#define TARGETS {"targets", PER_ROW, false, true, false, 0}
#define WEIGHT {"weight", PER_CLASS, false, false, true, 0}

/* One adapter per function, from the array of pointers to the header's parameters. */
#define ADAPTERS(T, D)                                                                                           \
  static xent_status softmax_##D(void *const *a, const parameters *p) {                                          \
    return xent_softmax_##D(a[0], p->rows, p->classes, a[1]);                                                    \
  }                                                                                                              \
  static xent_status log_softmax_##D(void *const *a, const parameters *p) {                                      \
    return xent_log_softmax_##D(a[0], p->rows, p->classes, a[1]);                                                \
  }                                                                                                              \
  static xent_status logsumexp_##D(void *const *a, const parameters *p) {                                        \
    return xent_logsumexp_##D(a[0], p->rows, p->classes, a[1]);                                                  \
  }                                                                                                              \
  static xent_status nll_##D(void *const *a, const parameters *p) {                                              \
    return xent_nll_##D(a[0], a[1], p->rows, p->classes, a[2], p->ignore_index, p->reduction, a[3]);             \
  }                                                                                                              \
  static xent_status cross_entropy_##D(void *const *a, const parameters *p) {                                    \
    return xent_cross_entropy_##D(a[0], a[1], p->rows, p->classes, a[2], p->ignore_index, p->reduction, a[3]);   \
  }                                                                                                              \
  static xent_status cross_entropy_grad_##D(void *const *a, const parameters *p) {                               \
    return xent_cross_entropy_grad_##D(a[0], a[1], p->rows, p->classes, a[2], p->ignore_index, p->reduction,     \
                                       a[3], a[4]);                                                              \
  }                                                                                                              \
  static xent_status log_softmax_grad_##D(void *const *a, const parameters *p) {                                 \
    return xent_log_softmax_grad_##D(a[0], a[1], p->rows, p->classes, a[2]);                                     \
  }                                                                                                              \
  static xent_status nll_grad_##D(void *const *a, const parameters *p) {                                         \
    return xent_nll_grad_##D(a[0], p->rows, p->classes, a[1], p->ignore_index, p->reduction, a[2]);              \
  }
ADAPTERS(float, f32)
ADAPTERS(double, f64)

#define CALLS(name) {name##_f32, name##_f64}

const operation operations[] = {
    {"softmax", false, 2, {INPUT("logits", MATRIX), OUTPUT("probs", MATRIX, 1 << 0)}, CALLS(softmax)},
    {"log_softmax", false, 2, {INPUT("logits", MATRIX), OUTPUT("log_probs", MATRIX, 1 << 0)}, CALLS(log_softmax)},
    {"logsumexp", false, 2, {INPUT("logits", MATRIX), OUTPUT("lse", PER_ROW, 0)}, CALLS(logsumexp)},
    {"nll", true, 4, {INPUT("log_probs", MATRIX), TARGETS, WEIGHT, OUTPUT("loss", LOSS, 0)}, CALLS(nll)},
    {"cross_entropy", true, 4, {INPUT("logits", MATRIX), TARGETS, WEIGHT, OUTPUT("loss", LOSS, 0)},
     CALLS(cross_entropy)},
    {"cross_entropy_grad", true, 5,
     {INPUT("logits", MATRIX), TARGETS, WEIGHT, {"loss", LOSS, true, false, true, 0},
      OUTPUT("grad_logits", MATRIX, 1 << 0)},
     CALLS(cross_entropy_grad)},
    {"log_softmax_grad", false, 3,
     {INPUT("log_probs", MATRIX), INPUT("grad_log_probs", MATRIX), OUTPUT("grad_logits", MATRIX, 1 << 0 | 1 << 1)},
     CALLS(log_softmax_grad)},
    {"nll_grad", true, 3, {TARGETS, WEIGHT, OUTPUT("grad_log_probs", MATRIX, 0)}, CALLS(nll_grad)},
};
const int operation_count = sizeof operations / sizeof *operations;

const char *dtype_name(dtype type) { return type == F32 ? "f32" : "f64"; }

const char *function_name(const operation *op, dtype type) {
  static _Thread_local char text[2][64];
  static _Thread_local int turn;
  turn = !turn;
  snprintf(text[turn], sizeof text[turn], "xent_%s_%s", op->name, dtype_name(type));
  return text[turn];
}

size_t element_size(const array_spec *array, dtype type) {
  return array->is_int64 ? sizeof(int64_t) : type == F32 ? sizeof(float) : sizeof(double);
}

int64_t element_count(const array_spec *array, const parameters *p) {
  switch (array->shape) {
    case MATRIX: return p->rows * p->classes;
    case PER_ROW: return p->rows;
    case PER_CLASS: return p->classes;
    case LOSS: return p->reduction == XENT_REDUCTION_NONE ? p->rows : 1;
  }
  abort();
}

size_t array_bytes(const array_spec *array, dtype type, const parameters *p) {
  return (size_t)element_count(array, p) * element_size(array, type);
}

int array_index(const operation *op, const char *name) {
  for (int k = 0; k < op->count; k++)
    if (!strcmp(op->arrays[k].name, name)) return k;
  return -1;
}

/* memcpy throughout: tests hand out arrays that are aligned for nothing but their element. */
double load(const void *array, dtype type, int64_t index) {
  float narrow;
  double wide;
  if (type == F32) {
    memcpy(&narrow, (const char *)array + index * (int64_t)sizeof narrow, sizeof narrow);
    return narrow;
  }
  memcpy(&wide, (const char *)array + index * (int64_t)sizeof wide, sizeof wide);
  return wide;
}

void store(void *array, dtype type, int64_t index, double value) {
  float narrow = (float)value;
  if (type == F32) memcpy((char *)array + index * (int64_t)sizeof narrow, &narrow, sizeof narrow);
  else memcpy((char *)array + index * (int64_t)sizeof value, &value, sizeof value);
}

bool same_values(const void *a, const void *b, const array_spec *array, dtype type, int64_t count) {
  size_t size = element_size(array, type);
  if (!memcmp(a, b, (size_t)count * size)) return true;
  if (array->is_int64) return false;
  for (int64_t k = 0; k < count; k++) {
    double x = load(a, type, k), y = load(b, type, k);
    bool both_nan = x != x && y != y;
    if (!both_nan && memcmp((const char *)a + (size_t)k * size, (const char *)b + (size_t)k * size, size)) return false;
  }
  return true;
}

/* splitmix64 */
uint64_t random_bits(uint64_t *state) {
  uint64_t z = *state += 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

double random_unit(uint64_t *state) { return (double)(random_bits(state) >> 32) * 0x1p-31 - 1; }

void fill_arrays(const operation *op, dtype type, const parameters *p, void *const *arrays, uint64_t seed) {
  for (int k = 0; k < op->count; k++) {
    const array_spec *array = &op->arrays[k];
    if (!arrays[k]) continue;
    if (array->is_output) {
      memset(arrays[k], 0xA5, array_bytes(array, type, p));
      continue;
    }
    for (int64_t n = 0; n < element_count(array, p); n++) {
      double u = random_unit(&seed);
      if (array->is_int64) {
        uint64_t bits = random_bits(&seed);
        int64_t target = p->classes && bits % 8 ? (int64_t)((bits >> 8) % (uint64_t)p->classes) : p->ignore_index;
        memcpy((char *)arrays[k] + n * (int64_t)sizeof target, &target, sizeof target);
      } else if (!strcmp(array->name, "weight")) {
        store(arrays[k], type, n, 1.25 + u);
      } else if (!strcmp(array->name, "log_probs")) {
        store(arrays[k], type, n, 4 * u - 4);
      } else {
        store(arrays[k], type, n, 8 * u);
      }
    }
  }
}

void allocate_arrays(const operation *op, dtype type, const parameters *p, void **arrays) {
  for (int k = 0; k < op->count; k++) {
    size_t bytes = array_bytes(&op->arrays[k], type, p);
    if (!(arrays[k] = malloc(bytes ? bytes : 1))) {
      fprintf(stderr, "out of memory\n");
      exit(3);
    }
  }
}

void free_arrays(const operation *op, void **arrays) {
  for (int k = 0; k < op->count; k++) free(arrays[k]);
}
