/* SPDX-License-Identifier: Apache-2.0
 *
 * Every function on inputs and outputs of every alignment that their elements allow: bytes 0 to 63 of a cache line, in every
 * pair of the two for lengths up to four vectors and one more, and in one pair for each around every border of strips, tiles,
 * chunks and groups of rows. Each array lies as near as its alignment lets it to a page without access, first behind one and
 * then before one; what is between them is NaN, and stays. The bits are those of other memory.
 */
#include "operations.h"
#include "region.h"

enum { LINE = 64, NOBODYS = 0xFF, LARGEST = 17 * 4098, CONFIGURATIONS = 2 * REDUCTIONS };

static region regions[MAX_ARRAYS];

/* What a call is compared with: all reductions, without and with weights. */
typedef struct {
  const operation *op;
  dtype type;
  parameters p[CONFIGURATIONS];
  size_t bytes[CONFIGURATIONS][MAX_ARRAYS];
  void *arrays[CONFIGURATIONS][MAX_ARRAYS]; /* the inputs, and the outputs that they give */
} expectation;

static void expect(expectation *e, const operation *op, dtype type, int64_t rows, int64_t classes) {
  e->op = op;
  e->type = type;
  for (int n = 0; n < CONFIGURATIONS; n++) {
    void *passed[MAX_ARRAYS];
    e->p[n] = (parameters){rows, classes, XENT_IGNORE_INDEX, op->has_reduction ? n % REDUCTIONS : 0};
    allocate_arrays(op, type, &e->p[n], e->arrays[n]);
    fill_arrays(op, type, &e->p[n], e->arrays[n], (uint64_t)(rows * 5000 + classes));
    memcpy(passed, e->arrays[n], sizeof passed);
    if (n >= REDUCTIONS) drop_weights(op, passed);
    REQUIRE(op->call[type](passed, &e->p[n]) == XENT_OK);
    for (int k = 0; k < op->count; k++) e->bytes[n][k] = array_bytes(&op->arrays[k], type, &e->p[n]);
  }
}

static bool is_nobodys(const char *bytes, size_t count) {
  bool kept = true;
  for (size_t k = 0; k < count; k++) kept &= (unsigned char)bytes[k] == NOBODYS;
  return kept;
}

/* Configuration n with inputs and outputs so many elements behind a line's start. */
static bool try_alignment(const expectation *e, int n, size_t input, size_t output, bool at_end) {
  const operation *op = e->op;
  const parameters *p = &e->p[n];
  void *at[MAX_ARRAYS] = {0}, *passed[MAX_ARRAYS] = {0};
  for (int k = 0; k < op->count; k++) {
    const array_spec *array = &op->arrays[k];
    size_t offset = (array->is_output ? output : input) * element_size(array, e->type) % LINE;
    char *end = regions[k].start + regions[k].size, *start = end - e->bytes[n][k];
    start = at_end ? start - ((size_t)start - offset) % LINE : regions[k].start + offset;
    passed[k] = at[k] = start;
    size_t behind = (size_t)(end - start) - e->bytes[n][k], before = (size_t)(start - regions[k].start);
    memset(start - (before < LINE ? before : LINE), NOBODYS, before < LINE ? before : LINE);
    memset(start + e->bytes[n][k], NOBODYS, behind < LINE ? behind : LINE);
    if (array->is_output) memset(start, NOBODYS, e->bytes[n][k]);
    else memcpy(start, e->arrays[n][k], e->bytes[n][k]);
  }
  if (n >= REDUCTIONS) drop_weights(op, passed);
  bool fine = op->call[e->type](passed, p) == XENT_OK;
  for (int k = 0; k < op->count; k++) {
    const char *start = at[k], *end = regions[k].start + regions[k].size;
    size_t behind = (size_t)(end - start) - e->bytes[n][k], before = (size_t)(start - regions[k].start);
    fine &= is_nobodys(start - (before < LINE ? before : LINE), before < LINE ? before : LINE);
    fine &= is_nobodys(start + e->bytes[n][k], behind < LINE ? behind : LINE);
    fine &= same_values(e->arrays[n][k], at[k], &op->arrays[k], e->type, element_count(&op->arrays[k], p));
  }
  return fine;
}

static void check_shape(const operation *op, dtype type, int64_t rows, int64_t classes, bool in_pairs) {
  static expectation e;
  size_t steps = LINE / dtype_size(type);
  bool fine = true;
  char *digits = running + snprintf(running, sizeof running, "%s %lld x %lld: elements of inputs and of outputs behind a line, "
                                    "reduction and weights, at the end: ", function_name(op, type), (long long)rows, (long long)classes);
  snprintf(digits, 12, "00 00 00 00");
  expect(&e, op, type, rows, classes);
  for (size_t input = 0; input < steps; input++)
    for (size_t pair = 0; pair < (in_pairs ? steps : 1); pair++)
      for (int at_end = 0; at_end < 2; at_end++) {
        /* Where there is one pair for each, neither is the same for both. */
        size_t output = in_pairs ? pair : (input * 5 + 3) % steps;
        int n = (int)(input + output * 3 + (size_t)at_end) % CONFIGURATIONS;
        note(digits, input);
        note(digits + 3, output);
        note(digits + 6, (size_t)n);
        note(digits + 9, (size_t)at_end);
        bool right = try_alignment(&e, n, input, output, at_end);
        if (!right) because("%s: %s", running, xent_last_error());
        fine &= right;
      }
  CHECK(fine, "%s %lld x %lld in every alignment", function_name(op, type), (long long)rows, (long long)classes);
  for (int n = 0; n < CONFIGURATIONS; n++) free_arrays(op, e.arrays[n]);
}

int main(void) {
  static const int64_t borders[] = {126, 127, 128, 129, 130, 191, 192, 193, 255, 256, 257, 258, 511, 512, 513,
                                    2046, 2047, 2048, 2049, 2050, 4095, 4096, 4097};
  static const int64_t wide[] = {64, 65, 127, 128, 129, 255, 256, 257};
  /* Software fma takes as long as everything else together. */
  bool is_fast = strcmp(xent_cpu_level(), "baseline") != 0;
  int64_t pace = is_fast ? 1 : 3;
  watch_faults();
  for (int k = 0; k < MAX_ARRAYS; k++) regions[k] = make_region(LARGEST * sizeof(double) + 2 * LINE);
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++) {
      const int64_t lanes = type == F64 ? 8 : 16;
      for (int64_t classes = 0; classes <= 4 * lanes + 1; classes += pace)
        check_shape(&operations[k], type, 1, classes, is_fast || classes % 16 == 0);
      for (size_t b = 0; b < sizeof borders / sizeof *borders; b++) check_shape(&operations[k], type, 1, borders[b], false);
      for (int64_t rows = 2; rows <= 17; rows += rows < 5 ? 1 : rows < 15 ? 3 : 1) {
        for (int64_t classes = 1; classes <= 2 * lanes + 1; classes += pace) check_shape(&operations[k], type, rows, classes, false);
        for (size_t w = 0; w < sizeof wide / sizeof *wide; w++) check_shape(&operations[k], type, rows, wide[w], false);
      }
    }
  return check_summary();
}
