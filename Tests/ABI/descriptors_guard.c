/* SPDX-License-Identifier: Apache-2.0
 *
 * Every tensor of every descriptor call, in every layout, between pages without access: from its lowest element to its
 * highest there is not a byte more. Then rows each at the end of a page, with none behind it; and rows that need not be
 * read, which are not.
 */
#include "descriptors.h"
#include "region.h"

static size_t page;

/* ---- At the ends of memory -------------------------------------------------------------------------------------- */

enum { LARGEST = 4 * 2049 * 2 * 8 * 3 }; /* of the shapes below, in the layout that takes the most */
static region regions[TENSORS];

static const char *try_placement(const call *expected, const layout *l, bool at_end) {
  call c = *expected;
  for (tensor t = 0; t < TENSORS; t++) {
    if (!c.has[t]) continue;
    xent_tensor *x = &c.tensors[t];
    *x = in_layout(x, l);
    REQUIRE((size_t)span_bytes(x) <= regions[t].size);
    place_at(x, at_end ? regions[t].start + regions[t].size - span_bytes(x) : regions[t].start);
    if (!is_output(t)) copy_elements(x, &expected->tensors[t]);
  }
  snprintf(running, sizeof running, "%s, %s, %s of memory", call_label(&c), l->name, at_end ? "end" : "start");
  return run_call(&c, NULL) == XENT_OK ? different_output(&c, expected) : xent_last_error();
}

static void check_layouts(call *expected) {
  const char *wrong = NULL;
  char where[sizeof running] = "";
  xent_status status = run_call(expected, NULL);
  because("%s", xent_last_error());
  if (!CHECK(status == XENT_OK, "%s", call_label(expected))) return;
  for (int l = 0; l < layout_count; l++)
    for (int at_end = 0; at_end < 2; at_end++) {
      if (layouts[l].broadcast) continue;
      const char *different = try_placement(expected, &layouts[l], at_end);
      if (different && !wrong) {
        wrong = different;
        memcpy(where, running, sizeof where);
      }
    }
  because("%s: %s", where, wrong ? wrong : "");
  CHECK(!wrong, "%s between pages without access", call_label(expected));
}

static void check_shape(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v) {
  call expected = make_call(form, type, outer, classes, inner, v, true, (uint64_t)classes);
  check_layouts(&expected);
  free_call(&expected);
}

/* Rows of which one class is certain, which is put in by itself where there is one output, of their shape. */
static void check_certain(form form, dtype type, int64_t rows, int64_t classes, tensor only) {
  call expected = make_call(form, type, rows, classes, 1, variants, false, 7);
  for (int64_t n = 0; n < rows; n++)
    for (int64_t c = 0; c < classes; c++)
      store_element(&expected.tensors[LOGITS], n, c, 0, c != n * 5 % classes ? 0 : n % 3 ? 3000 : 30000);
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++) expected.has[t] &= t == only;
  REQUIRE(expected.has[only]);
  check_layouts(&expected);
  free_call(&expected);
}

static void check_shapes(form form, dtype type, const variant *v, int turn) {
  static const int64_t borders[] = {31, 33, 63, 64, 65, 127, 129, 257};
  for (int64_t classes = 0; classes <= 2 * 8 + 1; classes++)
    check_shape(form, type, 1 + classes % 4, classes, 1 + (classes + turn) % 3, v);
  for (int64_t inner = 4; inner <= 2 * 16 + 1; inner += 1 + turn % 3) check_shape(form, type, 2, 3, inner, v);
  for (size_t b = 0; b < sizeof borders / sizeof *borders; b++)
    check_shape(form, type, 1 + (int64_t)b % 3, borders[b], 1 + ((int64_t)b + turn) % 2, v);
  check_shape(form, type, 1, 2047 + turn % 3, 2, v);
}

static void check_all_certain(form form, dtype type) {
  static const int64_t sizes[] = {2, 8, 10, 33, 65};
  for (int64_t rows = 1; rows <= 2 * 16 + 1; rows += 3)
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
      if (WITH_PROBS >> form & 1) check_certain(form, type, rows, sizes[k], PROBS);
      if (WITH_PROBS >> form & 1) check_certain(form, type, rows, sizes[k], LOG_PROBS);
      if (WITH_LOSS >> form & 1) check_certain(form, type, rows, sizes[k], GRAD_LOGITS);
    }
}

/* ---- Rows at the ends of pages ---------------------------------------------------------------------------------- */

/* Rows one page apart, each ending with its page; the pages between them are without access. */
static void check_rows_in_pages(form form, dtype type, int64_t classes, bool is_reversed) {
  enum { ROWS = 5 };
  static const tensor wholes[] = {LOGITS, TARGETS, GRAD_LOGITS, PROBS, LOG_PROBS};
  call expected = make_call(form, type, ROWS, classes, 1, variants, false, 5), c = expected;
  region pages[sizeof wholes / sizeof *wholes];
  size_t row = (size_t)classes * dtype_size(type);
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  snprintf(running, sizeof running, "%s, a row at the end of every other page%s", call_label(&c),
           is_reversed ? ", classes reversed" : "");
  for (size_t k = 0; k < sizeof wholes / sizeof *wholes; k++) {
    xent_tensor *x = &c.tensors[wholes[k]];
    pages[k].start = NULL;
    if (!c.has[wholes[k]] || x->classes != classes || x->dtype != (xent_dtype)type + 1) continue;
    pages[k] = make_region(2 * ROWS * page);
    x->outer_stride = 2 * (int64_t)(page / dtype_size(type));
    x->class_stride = is_reversed ? -1 : 1;
    x->data = pages[k].start + page - (is_reversed ? dtype_size(type) : row);
    for (size_t n = 0; n < ROWS; n++) REQUIRE(!mprotect(pages[k].start + (2 * n + 1) * page, page, PROT_NONE));
    if (!is_output(wholes[k])) copy_elements(x, &expected.tensors[wholes[k]]);
  }
  const char *different = run_call(&c, NULL) == XENT_OK ? different_output(&c, &expected) : xent_last_error();
  because("%s", different ? different : "");
  CHECK(!different, "%s", running);
  for (size_t k = 0; k < sizeof wholes / sizeof *wholes; k++)
    if (pages[k].start) free_region(pages[k]);
  free_call(&expected);
}

/* ---- Rows that are not read ------------------------------------------------------------------------------------- */

/* Rows of a whole page; those that do not count are without access. Only loss and gradient are wanted, and weights. */
static void check_unread(form form, dtype type, bool by_mask, int32_t reduction) {
  enum { ROWS = 7 };
  static const bool is_ignored[ROWS] = {true, false, true, true, false, false, true};
  int64_t classes = (int64_t)(page / dtype_size(type));
  call expected = make_call(form, type, ROWS, classes, 1, variant_named("weights, none"), false, 5), c;
  add_tensor(&expected, ROW_MASK, false, 1);
  expected.has[ROW_MASK] = by_mask;
  expected.options.reduction = reduction;
  for (int64_t n = 0; n < ROWS; n++) {
    store_integer(&expected.tensors[ROW_MASK], n, 0, 0, !is_ignored[n]);
    for (int64_t k = 0; !by_mask && k < expected.tensors[TARGETS].classes; k++)
      store_integer(&expected.tensors[TARGETS], n, k, 0, is_ignored[n] ? XENT_IGNORE_INDEX : (n * 131 + k) % classes);
  }
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
    expected.has[t] = t == ROW_LOSS || t == GRAD_LOGITS || (t == REDUCED_LOSS && reduction != XENT_REDUCTION_NONE);
  if (expected.has[REDUCED_LOSS]) add_tensor(&expected, REDUCED_LOSS, false, 1);
  REQUIRE(run_call(&expected, NULL) == XENT_OK);

  c = make_call(form, type, ROWS, classes, 1, variant_named("weights, none"), false, 5); /* outputs of its own */
  region logits = make_region(ROWS * page), teacher = {NULL, 0};
  for (tensor t = 0; t < REDUCED_LOSS; t++) c.tensors[t] = expected.tensors[t];
  memcpy(c.has, expected.has, sizeof c.has);
  if (expected.has[REDUCED_LOSS]) add_tensor(&c, REDUCED_LOSS, false, 1);
  c.options = expected.options;
  c.tensors[LOGITS].data = logits.start;
  copy_elements(&c.tensors[LOGITS], &expected.tensors[LOGITS]);
  if (form == DIVERGENCE || form == CE_PROBS) {
    teacher = make_region(ROWS * page);
    c.tensors[TARGETS].data = teacher.start;
    copy_elements(&c.tensors[TARGETS], &expected.tensors[TARGETS]);
  }
  for (size_t n = 0; n < ROWS; n++) {
    if (!is_ignored[n]) continue;
    REQUIRE(!mprotect(logits.start + n * page, page, PROT_NONE));
    if (teacher.start) REQUIRE(!mprotect(teacher.start + n * page, page, PROT_NONE));
  }
  snprintf(running, sizeof running, "%s %s, reduction %d: rows that do not count, by %s", form_specs[form].label,
           dtype_name(type), (int)reduction, by_mask ? "row_mask" : "ignore_index");
  const char *different = run_call(&c, NULL) == XENT_OK ? different_output(&c, &expected) : xent_last_error();
  because("%s", different ? different : "");
  CHECK(!different, "%s", running);
  free_region(logits);
  if (teacher.start) free_region(teacher);
  free_call(&expected);
  free_call(&c);
}

int main(void) {
  static const int64_t row_lengths[] = {1, 7, 16, 33, 64, 65, 130, 257};
  page = page_size();
  watch_faults();
  for (tensor t = 0; t < TENSORS; t++) regions[t] = make_region(LARGEST);
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++) {
      for (int v = 0; v < variant_count; v++) /* each variant in one dtype, the defaults in all */
        if (variants[v].forms >> form & 1 && (v == 0 || (dtype)((int)form + v) % DTYPES == type))
          check_shapes(form, type, &variants[v], v);
      if (OF_LOGITS >> form & 1) check_all_certain(form, type);
      for (size_t k = 0; k < sizeof row_lengths / sizeof *row_lengths; k++)
        for (int is_reversed = 0; is_reversed < 2; is_reversed++)
          check_rows_in_pages(form, type, row_lengths[k], is_reversed);
      for (int32_t reduction = 0; reduction < REDUCTIONS; reduction++) {
        bool has_indices = form == CE_INDEX || form == CE_SPARSE || form == NLL;
        if (has_indices) check_unread(form, type, false, reduction);
        if (WITH_LOSS >> form & 1 && is_taken(form, ROW_MASK)) check_unread(form, type, true, reduction);
      }
    }
  return check_summary();
}
