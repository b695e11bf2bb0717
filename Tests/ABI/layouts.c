/* SPDX-License-Identifier: Apache-2.0
 *
 * Tensors of any layout: their elements, and where they lie.
 */
#include "descriptors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t xent_dtype_size(xent_dtype type) {
  static const size_t sizes[] = {0, 4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8};
  return sizes[type];
}

bool is_floating(xent_dtype type) { return type >= XENT_F32 && type <= XENT_BF16; }

int64_t tensor_count(const xent_tensor *t) { return t->outer * t->classes * t->inner; }

char *element_at(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner) {
  int64_t offset = outer * t->outer_stride + c * t->class_stride + inner * t->inner_stride;
  return (char *)t->data + offset * (int64_t)xent_dtype_size(t->dtype);
}

int64_t load_integer(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner) {
  uint64_t bits = 0;
  size_t size = xent_dtype_size(t->dtype);
  memcpy(&bits, element_at(t, outer, c, inner), size);
  if (t->dtype > XENT_I64 || size == sizeof bits) return (int64_t)bits;
  uint64_t sign = UINT64_C(1) << (8 * size - 1);
  return (int64_t)((bits ^ sign) - sign);
}

void store_integer(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner, int64_t value) {
  memcpy(element_at(t, outer, c, inner), &value, xent_dtype_size(t->dtype)); /* little-endian */
}

double load_element(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner) {
  if (!is_floating(t->dtype)) return (double)load_integer(t, outer, c, inner);
  return load(element_at(t, outer, c, inner), (dtype)(t->dtype - XENT_F32), 0);
}

void store_element(const xent_tensor *t, int64_t outer, int64_t c, int64_t inner, double value) {
  if (is_floating(t->dtype)) store(element_at(t, outer, c, inner), (dtype)(t->dtype - XENT_F32), 0, value);
  else store_integer(t, outer, c, inner, (int64_t)value);
}

void copy_elements(const xent_tensor *to, const xent_tensor *from) {
  for (int64_t o = 0; o < to->outer; o++)
    for (int64_t c = 0; c < to->classes; c++)
      for (int64_t i = 0; i < to->inner; i++)
        memcpy(element_at(to, o, c, i), element_at(from, o, c, i), xent_dtype_size(to->dtype));
}

bool same_elements(const xent_tensor *a, const xent_tensor *b) {
  if (a->dtype != b->dtype || a->outer != b->outer || a->classes != b->classes || a->inner != b->inner) return false;
  for (int64_t o = 0; o < a->outer; o++)
    for (int64_t c = 0; c < a->classes; c++)
      for (int64_t i = 0; i < a->inner; i++) {
        if (!memcmp(element_at(a, o, c, i), element_at(b, o, c, i), xent_dtype_size(a->dtype))) continue;
        double x = load_element(a, o, c, i), y = load_element(b, o, c, i);
        if (x == x || y == y) return false;
      }
  return true;
}

const layout layouts[] = {
    {"contiguous", "oci", 1, 0, 0, 0},
    {"class-last", "oic", 1, 0, 0, 0},
    {"transposed", "cio", 1, 0, 0, 0},
    {"class-first", "coi", 1, 0, 0, 0},
    {"padded rows", "oci", 1, 5, 0, 0},
    {"padded class-last", "oic", 1, 3, 0, 0},
    {"sliced columns", "oci", 3, 0, 0, 0},
    {"sliced class-last", "oic", 2, 1, 0, 0},
    {"reversed", "oci", 1, 0, OUTER | CLASS | INNER, 0},
    {"classes reversed", "oic", 1, 0, CLASS, 0},
    {"rows reversed, padded", "coi", 2, 7, OUTER | INNER, 0},
    {"outer broadcast", "oci", 1, 0, 0, OUTER},
    {"class broadcast", "oic", 1, 0, 0, CLASS},
    {"inner broadcast", "oci", 1, 4, OUTER, INNER},
    {"one element", "oci", 1, 0, 0, OUTER | CLASS | INNER},
};
const int layout_count = sizeof layouts / sizeof *layouts;

xent_tensor in_layout(const xent_tensor *like, const layout *l) {
  xent_tensor t = *like;
  int64_t stride = l->step;
  for (int k = 2; k >= 0; k--) {
    char axis = l->order[k];
    int64_t size = axis == 'o' ? t.outer : axis == 'c' ? t.classes : t.inner;
    int64_t *at = axis == 'o' ? &t.outer_stride : axis == 'c' ? &t.class_stride : &t.inner_stride;
    unsigned bit = axis == 'o' ? OUTER : axis == 'c' ? CLASS : INNER;
    *at = l->broadcast & bit ? 0 : l->reversed & bit ? -stride : stride;
    stride = stride * (size > 0 ? size : 1) + l->padding;
  }
  t.data = NULL;
  return t;
}

/* How far, in elements, the tensor reaches to one side of element (0, 0, 0). */
static int64_t reach(const xent_tensor *t, int sign) {
  const int64_t sizes[] = {t->outer, t->classes, t->inner};
  const int64_t strides[] = {t->outer_stride, t->class_stride, t->inner_stride};
  int64_t total = 0;
  for (int k = 0; k < 3; k++)
    if (strides[k] * sign > 0) total += strides[k] * sign * (sizes[k] - 1);
  return total;
}

int64_t span_bytes(const xent_tensor *t) {
  if (!tensor_count(t)) return 0;
  return (reach(t, 1) + reach(t, -1) + 1) * (int64_t)xent_dtype_size(t->dtype);
}

void place_at(xent_tensor *t, void *lowest) {
  int64_t below = tensor_count(t) ? reach(t, -1) : 0;
  t->data = (char *)lowest + below * (int64_t)xent_dtype_size(t->dtype);
}

enum { MARGIN = 64 };

/* Fresh memory; gives back the old block. */
static void *reserve(call *c, tensor t) {
  void *old = c->blocks[t];
  size_t bytes = (size_t)span_bytes(&c->tensors[t]) + 2 * MARGIN;
  char *block = malloc(bytes);
  if (!block) {
    fprintf(stderr, "out of memory\n");
    exit(3);
  }
  memset(block, UNTOUCHED, bytes);
  place_at(&c->tensors[t], block + MARGIN);
  c->blocks[t] = block;
  c->block_bytes[t] = bytes;
  return old;
}

void move_tensor(call *c, tensor t, const layout *l) {
  xent_tensor before = c->tensors[t];
  c->tensors[t] = in_layout(&before, l);
  void *old = reserve(c, t);
  if (before.data && !is_output(t)) copy_elements(&c->tensors[t], &before);
  free(old);
}

void retype_tensor(call *c, tensor t, xent_dtype type) {
  xent_tensor before = c->tensors[t], *now = &c->tensors[t];
  *now = in_layout(&before, &layouts[0]);
  now->dtype = type;
  void *old = reserve(c, t);
  for (int64_t n = 0; n < tensor_count(now) && !is_output(t); n++) {
    int64_t o = n / (now->classes * now->inner), j = n / now->inner % now->classes, i = n % now->inner;
    if (is_floating(type)) store_element(now, o, j, i, load_element(&before, o, j, i));
    else if (is_floating(before.dtype)) store_integer(now, o, j, i, (int64_t)load_element(&before, o, j, i));
    else store_integer(now, o, j, i, load_integer(&before, o, j, i));
  }
  free(old);
}

bool is_rest_untouched(const call *c, tensor t) {
  const xent_tensor *x = &c->tensors[t];
  char *rest = malloc(c->block_bytes[t]);
  if (!rest) exit(3);
  memcpy(rest, c->blocks[t], c->block_bytes[t]);
  xent_tensor copy = *x;
  place_at(&copy, rest + MARGIN);
  for (int64_t o = 0; o < x->outer; o++)
    for (int64_t j = 0; j < x->classes; j++)
      for (int64_t i = 0; i < x->inner; i++) memset(element_at(&copy, o, j, i), UNTOUCHED, xent_dtype_size(x->dtype));
  bool is_untouched = true;
  for (size_t k = 0; k < c->block_bytes[t]; k++) is_untouched &= rest[k] == UNTOUCHED;
  free(rest);
  return is_untouched;
}
