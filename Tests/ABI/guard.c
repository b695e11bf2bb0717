/* SPDX-License-Identifier: Apache-2.0
 *
 * Every array of every function ends, and then begins, where the memory does: a read or a write one byte outside is a
 * fault. What lies on the other side of each output is compared. Lengths cover every remainder of a vector, of a strip
 * of 64 and of a chunk of 2048. Then: rows that need not be read are not to be touched at all. Alignments: alignments.c.
 */
#include "operations.h"
#include "region.h"

enum { MAX_ROWS = 17, MAX_CLASSES = 4097, LARGEST = 5 * 2049, LANES = 16, MARGIN = 256 };

static region regions[MAX_ARRAYS];

/* The bytes on the side of an array that has no guard page are 0x3C and stay so. */
static bool is_margin_kept(const char *margin) {
  for (int k = 0; k < MARGIN; k++)
    if (margin[k] != 0x3C) return false;
  return true;
}

static bool try_placement(const operation *op, dtype type, const parameters *p, bool at_end, void **results,
                          void *const *inputs, bool with_weights) {
  void *at[MAX_ARRAYS] = {0}, *passed[MAX_ARRAYS] = {0};
  char *margins[MAX_ARRAYS];
  size_t bytes[MAX_ARRAYS];
  bool fine = true;
  for (int k = 0; k < op->count; k++) {
    bytes[k] = array_bytes(&op->arrays[k], type, p);
    passed[k] = at[k] = regions[k].start + (at_end ? regions[k].size - bytes[k] : 0);
    margins[k] = (char *)at[k] + (at_end ? -MARGIN : (ptrdiff_t)bytes[k]);
    memset(margins[k], 0x3C, MARGIN);
    memcpy(at[k], inputs[k], bytes[k]);
  }
  if (!with_weights) drop_weights(op, passed);
  fine &= op->call[type](passed, p) == XENT_OK;
  for (int k = 0; k < op->count; k++) {
    fine &= is_margin_kept(margins[k]);
    if (!op->arrays[k].is_output) fine &= !memcmp(at[k], inputs[k], bytes[k]);
    else if (at_end) memcpy(results[k], at[k], bytes[k]);
    else fine &= same_values(results[k], at[k], &op->arrays[k], type, element_count(&op->arrays[k], p));
  }
  return fine;
}

static void check_shape(const operation *op, dtype type, int64_t rows, int64_t classes) {
  bool fine = true;
  for (int32_t reduction = 0; reduction < (op->has_reduction ? REDUCTIONS : 1); reduction++) {
    parameters p = {rows, classes, XENT_IGNORE_INDEX, reduction};
    void *inputs[MAX_ARRAYS], *results[MAX_ARRAYS];
    allocate_arrays(op, type, &p, inputs);
    allocate_arrays(op, type, &p, results);
    fill_arrays(op, type, &p, inputs, (uint64_t)(rows * 5000 + classes));
    for (int with_weights = 0; with_weights <= has_weights(op); with_weights++)
      for (int at_end = 1; at_end >= 0; at_end--) {
        snprintf(running, sizeof running, "%s %lld x %lld, reduction %d%s, %s of memory", function_name(op, type),
                 (long long)rows, (long long)classes, (int)reduction, with_weights ? ", weights" : "",
                 at_end ? "at the end" : "at the start");
        bool right = try_placement(op, type, &p, at_end, results, inputs, with_weights);
        if (!right) because("%s: %s", running, xent_last_error());
        fine &= right;
      }
    free_arrays(op, inputs);
    free_arrays(op, results);
  }
  CHECK(fine, "%s %lld x %lld between guard pages", function_name(op, type), (long long)rows, (long long)classes);
}

static void check_shapes(const operation *op, dtype type) {
  static const int64_t borders[] = {31, 32, 33, 63, 64, 65, 127, 128, 129, 130, 255, 257, 2047, 2048, 2049};
  for (int k = 0; k < op->count; k++) regions[k] = make_region(LARGEST * sizeof(double) + MARGIN);
  for (int64_t rows = 1; rows <= 5; rows++) {
    for (int64_t classes = 0; classes <= 2 * LANES + 1; classes++) check_shape(op, type, rows, classes);
    for (size_t b = 0; b < sizeof borders / sizeof *borders; b++) check_shape(op, type, rows, borders[b]);
  }
  for (int64_t classes = 2 * LANES + 2; classes <= 4 * LANES + 1; classes++) check_shape(op, type, 1, classes);
  /* Rows come in eights, and chunks in twos. */
  for (int64_t rows = 6; rows <= MAX_ROWS; rows++)
    for (int64_t classes = 1; classes <= 65; classes += rows % 4 ? 16 : 7) check_shape(op, type, rows, classes);
  for (int64_t classes = 4095; classes <= MAX_CLASSES; classes++) check_shape(op, type, 1, classes);
  for (int k = 0; k < op->count; k++) free_region(regions[k]);
}

/* Rows of whole pages, some without access: those of ignored targets and, for nll, every page without a target. */
static void check_unread(const operation *op, dtype type) {
  enum { ROWS = 6, PAGES = 3 }; /* pages to a row */
  static const bool ignored[ROWS] = {true, false, true, true, false, true};
  size_t page = page_size();
  int64_t per_page = (int64_t)(page / dtype_size(type)), classes = PAGES * per_page;
  if (!op->has_options || op->arrays[0].shape != MATRIX) return;
  bool is_nll = !strcmp(op->name, "nll");

  for (int32_t reduction = 0; reduction < REDUCTIONS; reduction++) {
    parameters p = {ROWS, classes, XENT_IGNORE_INDEX, reduction};
    void *arrays[MAX_ARRAYS], *expected[MAX_ARRAYS];
    allocate_arrays(op, type, &p, arrays);
    allocate_arrays(op, type, &p, expected);
    fill_arrays(op, type, &p, arrays, 17);
    int64_t *targets = arrays[array_index(op, "targets")];
    for (int64_t i = 0; i < ROWS; i++) targets[i] = ignored[i] ? XENT_IGNORE_INDEX : (i % PAGES) * per_page + 7 * i;

    region matrix = make_region(array_bytes(&op->arrays[0], type, &p));
    memcpy(matrix.start, arrays[0], matrix.size);
    void *open[MAX_ARRAYS], *closed[MAX_ARRAYS];
    for (int k = 0; k < op->count; k++) {
      open[k] = op->arrays[k].is_output ? expected[k] : arrays[k];
      closed[k] = k ? arrays[k] : matrix.start;
    }
    snprintf(running, sizeof running, "%s: rows that must not be read, reduction %d", function_name(op, type),
             (int)reduction);
    REQUIRE(op->call[type](open, &p) == XENT_OK);
    for (int64_t i = 0; i < ROWS; i++)
      for (int64_t k = 0; k < PAGES; k++)
        if (ignored[i] || (is_nll && k != i % PAGES))
          REQUIRE(!mprotect(matrix.start + (size_t)(i * PAGES + k) * page, page, PROT_NONE));
    bool fine = op->call[type](closed, &p) == XENT_OK;
    for (int k = 0; k < op->count; k++)
      if (op->arrays[k].is_output)
        fine &= same_values(expected[k], arrays[k], &op->arrays[k], type, element_count(&op->arrays[k], &p));
    CHECK(fine, "%s", running);
    free_region(matrix);
    free_arrays(op, arrays);
    free_arrays(op, expected);
  }
}

int main(void) {
  watch_faults();
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++) {
      check_shapes(&operations[k], type);
      check_unread(&operations[k], type);
    }
  return check_summary();
}
