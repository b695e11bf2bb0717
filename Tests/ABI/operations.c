/* SPDX-License-Identifier: Apache-2.0 */
#include "operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT(name, shape) {name, shape, false, false, false, 0}
#define OUTPUT(name, shape, in_place) {name, shape, true, false, false, in_place}
#define TARGETS {"targets", PER_ROW, false, true, false, 0}
#define WEIGHT {"weight", PER_CLASS, false, false, true, 0}
#define POS_WEIGHT {"pos_weight", PER_CLASS, false, false, true, 0}

/* One adapter per function, from the array of pointers to the header's parameters. */
#define ADAPTERS(D)                                                                                              \
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
  }                                                                                                              \
  static xent_status softmax_grad_##D(void *const *a, const parameters *p) {                                     \
    return xent_softmax_grad_##D(a[0], a[1], p->rows, p->classes, a[2]);                                         \
  }                                                                                                              \
  static xent_status logsumexp_grad_##D(void *const *a, const parameters *p) {                                   \
    return xent_logsumexp_grad_##D(a[0], a[1], p->rows, p->classes, a[2]);                                       \
  }                                                                                                              \
  static xent_status binary_cross_entropy_##D(void *const *a, const parameters *p) {                             \
    return xent_binary_cross_entropy_##D(a[0], a[1], p->rows, p->classes, a[2], a[3], p->reduction, a[4]);       \
  }                                                                                                              \
  static xent_status binary_cross_entropy_grad_##D(void *const *a, const parameters *p) {                        \
    return xent_binary_cross_entropy_grad_##D(a[0], a[1], p->rows, p->classes, a[2], a[3], p->reduction, a[4],   \
                                              a[5]);                                                             \
  }
ADAPTERS(f32)
ADAPTERS(f64)
ADAPTERS(f16)
ADAPTERS(bf16)

#define CALLS(name) {name##_f32, name##_f64, name##_f16, name##_bf16}

const operation operations[] = {
    {"softmax", false, false, 2, {INPUT("logits", MATRIX), OUTPUT("probs", MATRIX, 1 << 0)}, CALLS(softmax)},
    {"log_softmax", false, false, 2, {INPUT("logits", MATRIX), OUTPUT("log_probs", MATRIX, 1 << 0)},
     CALLS(log_softmax)},
    {"logsumexp", false, false, 2, {INPUT("logits", MATRIX), OUTPUT("lse", PER_ROW, 0)}, CALLS(logsumexp)},
    {"nll", true, true, 4, {INPUT("log_probs", MATRIX), TARGETS, WEIGHT, OUTPUT("loss", LOSS, 0)}, CALLS(nll)},
    {"cross_entropy", true, true, 4, {INPUT("logits", MATRIX), TARGETS, WEIGHT, OUTPUT("loss", LOSS, 0)},
     CALLS(cross_entropy)},
    {"cross_entropy_grad", true, true, 5,
     {INPUT("logits", MATRIX), TARGETS, WEIGHT, {"loss", LOSS, true, false, true, 0},
      OUTPUT("grad_logits", MATRIX, 1 << 0)},
     CALLS(cross_entropy_grad)},
    {"log_softmax_grad", false, false, 3,
     {INPUT("log_probs", MATRIX), INPUT("grad_log_probs", MATRIX), OUTPUT("grad_logits", MATRIX, 1 << 0 | 1 << 1)},
     CALLS(log_softmax_grad)},
    {"nll_grad", true, true, 3, {TARGETS, WEIGHT, OUTPUT("grad_log_probs", MATRIX, 0)}, CALLS(nll_grad)},
    {"softmax_grad", false, false, 3,
     {INPUT("probs", MATRIX), INPUT("grad_probs", MATRIX), OUTPUT("grad_logits", MATRIX, 1 << 0 | 1 << 1)},
     CALLS(softmax_grad)},
    {"logsumexp_grad", false, false, 3,
     {INPUT("logits", MATRIX), INPUT("grad_lse", PER_ROW), OUTPUT("grad_logits", MATRIX, 1 << 0)},
     CALLS(logsumexp_grad)},
    {"binary_cross_entropy", false, true, 5,
     {INPUT("logits", MATRIX), INPUT("targets", MATRIX), WEIGHT, POS_WEIGHT, OUTPUT("loss", MATRIX_LOSS, 0)},
     CALLS(binary_cross_entropy)},
    {"binary_cross_entropy_grad", false, true, 6,
     {INPUT("logits", MATRIX), INPUT("targets", MATRIX), WEIGHT, POS_WEIGHT,
      {"loss", MATRIX_LOSS, true, false, true, 0}, OUTPUT("grad_logits", MATRIX, 1 << 0)},
     CALLS(binary_cross_entropy_grad)},
};
const int operation_count = sizeof operations / sizeof *operations;

const char *dtype_name(dtype type) {
  static const char *const names[DTYPES] = {"f32", "f64", "f16", "bf16"};
  return names[type];
}

const char *function_name(const operation *op, dtype type) {
  static _Thread_local char text[2][64];
  static _Thread_local int turn;
  turn = !turn;
  snprintf(text[turn], sizeof text[turn], "xent_%s_%s", op->name, dtype_name(type));
  return text[turn];
}

size_t dtype_size(dtype type) {
  static const size_t sizes[DTYPES] = {sizeof(float), sizeof(double), sizeof(uint16_t), sizeof(uint16_t)};
  return sizes[type];
}

dtype element_type(const array_spec *array, dtype type) {
  return dtype_size(type) < sizeof(float) && array->shape != MATRIX ? F32 : type;
}

size_t element_size(const array_spec *array, dtype type) {
  return array->is_int64 ? sizeof(int64_t) : dtype_size(element_type(array, type));
}

int64_t element_count(const array_spec *array, const parameters *p) {
  switch (array->shape) {
    case MATRIX: return p->rows * p->classes;
    case PER_ROW: return p->rows;
    case PER_CLASS: return p->classes;
    case LOSS: return p->reduction == XENT_REDUCTION_NONE ? p->rows : 1;
    case MATRIX_LOSS: return p->reduction == XENT_REDUCTION_NONE ? p->rows * p->classes : 1;
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

static bool is_weight(const array_spec *array) { return array->is_nullable && !array->is_output; }

bool has_weights(const operation *op) {
  for (int k = 0; k < op->count; k++)
    if (is_weight(&op->arrays[k])) return true;
  return false;
}

void drop_weights(const operation *op, void **arrays) {
  for (int k = 0; k < op->count; k++)
    if (is_weight(&op->arrays[k])) arrays[k] = NULL;
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

/* A 16-bit format is a sign, exponent bits and fraction bits. No _Float16: it is what is being tested against. In
 * integers, because tests convert by the million. */
typedef struct {
  int exponent_bits, fraction_bits;
  double smallest; /* subnormal */
} format;

static const format formats[DTYPES] = {[F16] = {5, 10, 0x1p-24}, [BF16] = {8, 7, 0x1p-133}};

static double double_of_bits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static double value_of_bits(uint16_t bits, format f) {
  uint64_t sign = (uint64_t)(bits >> 15) << 63, fraction = bits & ((1u << f.fraction_bits) - 1);
  int bias = (1 << (f.exponent_bits - 1)) - 1, exponent = (bits & 0x7FFF) >> f.fraction_bits;
  if (!exponent) return (sign ? -1 : 1) * (double)fraction * f.smallest;
  uint64_t wide = exponent > 2 * bias ? 0x7FF : (uint64_t)(exponent - bias + 1023);
  return double_of_bits(sign | wide << 52 | fraction << (52 - f.fraction_bits));
}

static uint16_t nearest_bits(double value, format f) {
  uint64_t bits, infinity = ((UINT64_C(1) << f.exponent_bits) - 1) << f.fraction_bits;
  memcpy(&bits, &value, sizeof bits);
  uint64_t sign = bits >> 63 << 15, fraction = bits & ((UINT64_C(1) << 52) - 1);
  int bias = (1 << (f.exponent_bits - 1)) - 1, exponent = (int)(bits >> 52 & 0x7FF) - 1023;
  int shift = 52 - f.fraction_bits;
  if (value != value) return (uint16_t)(sign | infinity | 1u << (f.fraction_bits - 1));
  if (exponent > bias) return (uint16_t)(sign | infinity);
  /* The exponent stands above the fraction, and a carry runs into it as it should. Below the smallest normal number the
   * leading 1 is part of the fraction, which is shifted further. */
  uint64_t magnitude = (uint64_t)(exponent + bias) << 52 | fraction;
  if (exponent < 1 - bias) {
    magnitude = UINT64_C(1) << 52 | fraction;
    shift += 1 - bias - exponent;
    if (shift > 54) return (uint16_t)sign;
  }
  uint64_t half = UINT64_C(1) << (shift - 1), is_odd = magnitude >> shift & 1;
  return (uint16_t)(sign | (magnitude + half - 1 + is_odd) >> shift);
}

/* memcpy throughout: tests hand out arrays that are aligned for nothing but their element. */
double load(const void *array, dtype type, int64_t index) {
  const char *at = (const char *)array + index * (int64_t)dtype_size(type);
  float narrow;
  double wide;
  uint16_t bits;
  switch (type) {
    case F32: memcpy(&narrow, at, sizeof narrow); return narrow;
    case F64: memcpy(&wide, at, sizeof wide); return wide;
    default: memcpy(&bits, at, sizeof bits); return value_of_bits(bits, formats[type]);
  }
}

void store(void *array, dtype type, int64_t index, double value) {
  char *at = (char *)array + index * (int64_t)dtype_size(type);
  float narrow = (float)value;
  uint16_t bits;
  switch (type) {
    case F32: memcpy(at, &narrow, sizeof narrow); return;
    case F64: memcpy(at, &value, sizeof value); return;
    default: bits = nearest_bits(value, formats[type]); memcpy(at, &bits, sizeof bits);
  }
}

bool same_values(const void *a, const void *b, const array_spec *array, dtype type, int64_t count) {
  size_t size = element_size(array, type);
  if (!memcmp(a, b, (size_t)count * size)) return true;
  if (array->is_int64) return false;
  for (int64_t k = 0; k < count; k++) {
    double x = load(a, element_type(array, type), k), y = load(b, element_type(array, type), k);
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

/* Of the inputs of a name; the last is for all others. */
static const struct range {
  const char *name;
  double middle, radius;
} ranges[] = {{"weight", 1.25, 1}, {"pos_weight", 1.25, 1}, {"log_probs", -4, 4}, {"probs", 0.5, 0.5},
              {"targets", 0.5, 0.5}, {NULL, 0, 8}};

void fill_arrays(const operation *op, dtype type, const parameters *p, void *const *arrays, uint64_t seed) {
  for (int k = 0; k < op->count; k++) {
    const array_spec *array = &op->arrays[k];
    if (!arrays[k]) continue;
    if (array->is_output) {
      memset(arrays[k], 0xA5, array_bytes(array, type, p));
      continue;
    }
    const struct range *range = ranges;
    while (range->name && strcmp(range->name, array->name)) range++;
    for (int64_t n = 0; n < element_count(array, p); n++) {
      double u = random_unit(&seed);
      if (array->is_int64) {
        uint64_t bits = random_bits(&seed);
        int64_t target = p->classes && bits % 8 ? (int64_t)((bits >> 8) % (uint64_t)p->classes) : p->ignore_index;
        memcpy((char *)arrays[k] + n * (int64_t)sizeof target, &target, sizeof target);
      } else {
        store(arrays[k], element_type(array, type), n, range->middle + range->radius * u);
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
