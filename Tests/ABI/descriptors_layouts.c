/* SPDX-License-Identifier: Apache-2.0
 *
 * Every descriptor call in every layout: the bits are those of the contiguous call, and of a memory in which only the
 * outputs' elements lie, every other byte stays.
 */
#include "check.h"
#include "descriptors.h"

#include <unistd.h>

static const struct {
  int64_t outer, classes, inner;
  bool is_large; /* not with every variant */
} shapes[] = {{1, 1, 1, false},  {3, 5, 1, false},  {2, 7, 3, false},    {9, 3, 1, false},    {1, 4, 17, false},
              {2, 7, 150, false}, {35, 3, 1, false}, {40, 7, 1, false},
              {0, 3, 2, false},  {2, 0, 3, false},  {3, 4, 0, false},    {4, 65, 2, true},    {2, 33, 70, true},
              {1, 130, 64, true}, {17, 64, 1, true}, {2, 2050, 2, true}, {1, 3, 1030, true}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* What one layout came to in all calls of a form and dtype. */
typedef struct {
  bool is_same, is_untouched, is_kept;
  char detail[400];
} outcome;

static void fail(bool *what, outcome *result, const call *c, const char *how, const char *tensor) {
  if (*what) snprintf(result->detail, sizeof result->detail, "%s, %s: %s", call_label(c), how, tensor);
  *what = false;
}

static uint64_t seed_of(form form, int shape, int v) { return (uint64_t)((form * SHAPES + shape) * 1000 + v); }

/* `seed` picks another layout for every tensor; NULL: all in `l`. */
static void try_layout(const call *base, uint64_t seed, const layout *l, bool is_wild, uint64_t *mixed,
                       outcome *result) {
  call c = make_call(base->form, base->type, base->outer, base->classes, base->inner, base->variant, is_wild, seed);
  call broadcast = c;
  const call *expected = base;
  const char *how = mixed ? "mixed" : l->name;
  for (tensor t = 0; t < TENSORS; t++) {
    if (!c.has[t]) continue;
    const layout *own = l;
    do {
      if (mixed) own = &layouts[random_bits(mixed) % (uint64_t)layout_count];
    } while (mixed && own->broadcast);
    move_tensor(&c, t, is_output(t) && own->broadcast ? layouts : own);
  }
  if (!mixed && l->broadcast) {
    broadcast = make_call(c.form, c.type, c.outer, c.classes, c.inner, c.variant, is_wild, seed);
    for (tensor t = 0; t < REDUCED_LOSS; t++)
      if (c.has[t]) copy_elements(&broadcast.tensors[t], &c.tensors[t]);
    if (run_call(&broadcast, NULL) != XENT_OK) fail(&result->is_same, result, &c, how, xent_last_error());
    expected = &broadcast;
  }
  if (run_call(&c, NULL) != XENT_OK) fail(&result->is_same, result, &c, how, xent_last_error());
  const char *different = different_output(&c, expected);
  if (different) fail(&result->is_same, result, &c, how, different);
  for (tensor t = 0; t < TENSORS; t++) {
    if (!c.has[t]) continue;
    const char *name = tensor_name(c.form, t);
    if (!is_rest_untouched(&c, t)) fail(&result->is_untouched, result, &c, how, name);
    if (!is_output(t) && !same_elements(&c.tensors[t], &expected->tensors[t]))
      fail(&result->is_kept, result, &c, how, name);
  }
  if (expected == &broadcast) free_call(&broadcast);
  free_call(&c);
}

static void try_variant(form form, dtype type, int shape, int v, bool is_wild, outcome *results) {
  uint64_t seed = seed_of(form, shape, v), mixed = seed;
  call base = make_call(form, type, shapes[shape].outer, shapes[shape].classes, shapes[shape].inner, &variants[v],
                        is_wild, seed);
  xent_status status = run_call(&base, NULL);
  because("%s: %s", call_label(&base), xent_last_error());
  if (!CHECK(status == XENT_OK, "%s", call_label(&base))) return free_call(&base);
  for (int k = 0; k < layout_count; k++) try_layout(&base, seed, &layouts[k], is_wild, NULL, &results[k]);
  for (int k = 0; k < 3; k++) try_layout(&base, seed, NULL, is_wild, &mixed, &results[layout_count]);
  free_call(&base);
}

static void check_form(form form, dtype type) {
  outcome results[32];
  REQUIRE(layout_count < (int)(sizeof results / sizeof *results));
  for (int k = 0; k <= layout_count; k++) results[k] = (outcome){true, true, true, ""};
  for (int v = 0, taken = 0; v < variant_count; v++) {
    if (!(variants[v].forms >> form & 1)) continue;
    taken++;
    for (int s = 0; s < SHAPES; s++)
      for (int is_wild = 0; is_wild < (shapes[s].is_large ? 1 : 2); is_wild++)
        if (!shapes[s].is_large || (taken + s) % 4 == 0) try_variant(form, type, s, v, is_wild, results);
  }
  for (int k = 0; k <= layout_count; k++) {
    const char *name = k < layout_count ? layouts[k].name : "mixed", *function = form_specs[form].label;
    because("%s", results[k].detail);
    CHECK(results[k].is_same, "%s %s, %s: the same bits", function, dtype_name(type), name);
    because("%s", results[k].detail);
    CHECK(results[k].is_untouched, "%s %s, %s: only elements are written", function, dtype_name(type), name);
    because("%s", results[k].detail);
    CHECK(results[k].is_kept, "%s %s, %s: inputs stay", function, dtype_name(type), name);
  }
}

/* The test of the test: a layout is what its name says, and a byte too much is noticed. */
static void check_layouts(void) {
  call c = make_call(SOFTMAX, F32, 2, 3, 4, variants, false, 1);
  for (int k = 0; k < layout_count; k++) {
    if (layouts[k].broadcast) continue;
    move_tensor(&c, PROBS, &layouts[k]);
    CHECK(is_rest_untouched(&c, PROBS), "%s: memory is untouched at first", layouts[k].name);
    for (int64_t n = 0; n < 24; n++) store_element(&c.tensors[PROBS], n / 12, n / 4 % 3, n % 4, (double)n);
    bool is_kept = true;
    for (int64_t n = 0; n < 24; n++)
      is_kept &= load_element(&c.tensors[PROBS], n / 12, n / 4 % 3, n % 4) == (double)n;
    CHECK(is_kept, "%s: every element has a place of its own", layouts[k].name);
    CHECK(is_rest_untouched(&c, PROBS), "%s: elements are not the rest", layouts[k].name);
    ((char *)c.blocks[PROBS])[c.block_bytes[PROBS] - 64] ^= 1;
    CHECK(!is_rest_untouched(&c, PROBS), "%s: a byte behind the last element is the rest", layouts[k].name);
  }
  free_call(&c);
}

int main(void) {
  alarm(600);
  check_layouts();
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++) check_form(form, type);
  return check_summary();
}
