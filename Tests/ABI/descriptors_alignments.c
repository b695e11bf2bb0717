/* SPDX-License-Identifier: Apache-2.0
 *
 * Every descriptor call in every layout, its inputs and its outputs at every alignment that their elements allow, as
 * alignments.c does for the plain functions: lengths up to four vectors and one more along the classes and along the inner
 * axis, and around the borders of strips, tiles, chunks and groups of rows. What lies beside a tensor and between its elements
 * stays, and the bits are those of contiguous tensors.
 */
#include "descriptors.h"
#include "region.h"

enum { LINE = 64, NOBODYS = 0xFF, LARGEST = 1 << 20 };

static region regions[TENSORS];

/* A call in one layout, with its outputs as they have to be. `span`: from a tensor's lowest byte to its highest. */
typedef struct {
  call call;
  char *lowest[TENSORS];
  size_t span[TENSORS];
} expectation;

static expectation expect(const call *contiguous, form form, dtype type, const variant *v, const layout *l) {
  expectation e = {.call = make_call(form, type, contiguous->outer, contiguous->classes, contiguous->inner, v, true, 3)};
  for (tensor t = 0; t < TENSORS; t++) {
    if (!e.call.has[t]) continue;
    move_tensor(&e.call, t, l);
    e.span[t] = (size_t)span_bytes(&e.call.tensors[t]);
    xent_tensor from_zero = e.call.tensors[t];
    place_at(&from_zero, NULL);
    e.lowest[t] = (char *)e.call.tensors[t].data - (size_t)from_zero.data;
  }
  snprintf(running, sizeof running, "%s, %s", call_label(contiguous), l->name);
  const char *different = run_call(&e.call, NULL) == XENT_OK ? different_output(&e.call, contiguous) : xent_last_error();
  because("%s: %s", running, different ? different : "");
  CHECK(!different, "%s", running);
  return e;
}

static bool is_nobodys(const char *bytes, size_t count) {
  bool kept = true;
  for (size_t k = 0; k < count; k++) kept &= (unsigned char)bytes[k] == NOBODYS;
  return kept;
}

static size_t most(size_t bytes) { return bytes < LINE ? bytes : LINE; }

/* The name of a tensor that is not as it should be; NULL for none. */
static const char *try_alignment(const expectation *e, size_t input, size_t output, bool at_end) {
  call c = e->call;
  char *starts[TENSORS];
  for (tensor t = 0; t < TENSORS; t++) {
    if (!c.has[t]) continue;
    size_t offset = (is_output(t) ? output : input) * xent_dtype_size(c.tensors[t].dtype) % LINE;
    char *end = regions[t].start + regions[t].size, *start = end - e->span[t];
    starts[t] = start = at_end ? start - ((size_t)start - offset) % LINE : regions[t].start + offset;
    size_t before = most((size_t)(start - regions[t].start)), behind = most((size_t)(end - start) - e->span[t]);
    memset(start - before, NOBODYS, before);
    memset(start + e->span[t], NOBODYS, behind);
    if (is_output(t)) memset(start, UNTOUCHED, e->span[t]);
    else memcpy(start, e->lowest[t], e->span[t]);
    place_at(&c.tensors[t], start);
  }
  if (run_call(&c, NULL) != XENT_OK) return xent_last_error();
  for (tensor t = 0; t < TENSORS; t++) {
    if (!c.has[t]) continue;
    char *end = regions[t].start + regions[t].size, *start = starts[t];
    size_t before = most((size_t)(start - regions[t].start)), behind = most((size_t)(end - start) - e->span[t]);
    if (!is_nobodys(start - before, before) || !is_nobodys(start + e->span[t], behind)) return tensor_name(c.form, t);
    /* To the payload of every NaN, and with what lies between elements. */
    if (memcmp(start, e->lowest[t], e->span[t])) return tensor_name(c.form, t);
  }
  return different_output(&c, &(call){.has_sums = true, .sums = e->call.sums});
}

static void check_shape(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v, int turn) {
  call contiguous = make_call(form, type, outer, classes, inner, v, true, 3);
  size_t steps = LINE / dtype_size(type);
  REQUIRE(run_call(&contiguous, NULL) == XENT_OK);
  for (int l = 0; l < layout_count; l++) {
    if (layouts[l].broadcast) continue;
    expectation e = expect(&contiguous, form, type, v, &layouts[l]);
    size_t length = strlen(running);
    char *digits = running + length;
    digits += snprintf(digits, sizeof running - length, ": elements of inputs and of outputs behind a line: ");
    snprintf(digits, 6, "00 00");
    const char *wrong = NULL;
    char where[sizeof running] = "";
    for (size_t input = 0; input < steps; input++) {
      /* Another one each time: all pairs come with the lengths. */
      size_t output = (input * 5 + (size_t)turn) % steps;
      note(digits, input);
      note(digits + 3, output);
      const char *different = try_alignment(&e, input, output, (input + (size_t)(l + turn)) % 2);
      if (!different || wrong) continue;
      wrong = different;
      memcpy(where, running, sizeof where);
    }
    because("%s: %s", where, wrong ? wrong : "");
    CHECK(!wrong, "%s, %s, in every alignment", call_label(&contiguous), layouts[l].name);
    free_call(&e.call);
  }
  free_call(&contiguous);
}

/* In turn the variants that the form has. */
static const variant *variant_of(form form, int turn) {
  int count = 0;
  for (int v = 0; v < variant_count; v++) count += variants[v].forms >> form & 1;
  turn %= count;
  for (int v = 0; v < variant_count; v++)
    if (variants[v].forms >> form & 1 && turn-- == 0) return &variants[v];
  return variants;
}

int main(void) {
  static const int64_t borders[] = {127, 128, 129, 255, 256, 257, 2047, 2048, 2049}, rows[] = {15, 16, 17, 31, 33};
  /* Software fma takes as long as everything else together. */
  int pace = strcmp(xent_cpu_level(), "baseline") ? 1 : 5;
  watch_faults();
  for (tensor t = 0; t < TENSORS; t++) regions[t] = make_region(LARGEST);
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++) {
      int64_t longest = 4 * (type == F64 ? 8 : 16) + 1;
      int turn = (int)form + (int)type;
      for (int64_t n = 0; n <= longest; n += pace, turn++) {
        check_shape(form, type, 2 - n % 2, n, 1 + n % 2, turn % 2 ? variants : variant_of(form, turn / 2), turn);
        /* The 16-bit types, which have the most alignments, share the lengths of the inner axis. */
        if (n && (type < F16 || n % 2 == (type == F16)))
          check_shape(form, type, 1, 3, n, turn % 2 ? variant_of(form, turn / 2) : variants, turn);
      }
      for (size_t b = 0; b < sizeof borders / sizeof *borders; b += (size_t)pace, turn++)
        check_shape(form, type, 1, borders[b], 1 + (int64_t)b % 2, variant_of(form, turn), turn);
      for (size_t r = 0; r < sizeof rows / sizeof *rows; r += (size_t)pace, turn++) {
        check_shape(form, type, rows[r], 5 + turn % 5, 1, variant_of(form, turn), turn);
        check_shape(form, type, 2, 65, rows[r], variant_of(form, turn), turn);
      }
    }
  return check_summary();
}
