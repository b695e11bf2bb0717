/* SPDX-License-Identifier: Apache-2.0
 *
 * Integers of every dtype: targets, masks and gather mean the same in each, and outputs in both of theirs. What is
 * outside [0, classes) is XENT_ERR_TARGET, with row and value in the text and in xent_error, and nothing is written.
 */
#include "check.h"
#include "descriptors.h"

#include <inttypes.h>
#include <unistd.h>

static const char *const dtype_names[] = {"none", "f32", "f64", "f16", "bf16", "i8",  "i16",
                                          "i32",  "i64", "u8",  "u16", "u32",  "u64"};

/* ---- The same in every dtype ------------------------------------------------------------------------------------ */

static void check_same(call *c, tensor t, xent_dtype type, const call *expected) {
  static int turn;
  retype_tensor(c, t, type);
  int n = turn++ % layout_count;
  move_tensor(c, t, &layouts[layouts[n].broadcast || tensor_count(&c->tensors[t]) == 0 ? 0 : n]);
  xent_status status = run_call(c, NULL);
  const char *different = status == XENT_OK ? different_output(c, expected) : xent_last_error();
  because("%s: %s", call_label(c), different ? different : "");
  CHECK(!different, "%s: %s of %s, %s", call_label(c), tensor_name(c->form, t), dtype_names[type], layouts[n].name);
}

static void check_dtypes(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v) {
  call expected = make_call(form, type, outer, classes, inner, v, true, 11);
  /* An ignore_index that every dtype has. */
  if (form != CE_PROBS && form != DIVERGENCE && form != SOFTMAX && form != BINARY) {
    bool is_class = expected.options.ignore_index >= 0;
    int64_t old = expected.options.ignore_index, new = is_class ? old : 101;
    const xent_tensor *targets = &expected.tensors[TARGETS];
    for (int64_t n = 0; n < tensor_count(targets); n++) {
      int64_t *target = (int64_t *)targets->data + n;
      if (*target == old) *target = new;
    }
    expected.options.ignore_index = new;
  }
  xent_status status = run_call(&expected, NULL);
  because("%s", xent_last_error());
  if (!CHECK(status == XENT_OK, "%s with indices of the first dtype", call_label(&expected)))
    return free_call(&expected);
  for (tensor t = TARGETS; t <= GATHER; t++)
    for (xent_dtype integer = XENT_I8; expected.has[t] && integer <= XENT_U64; integer++) {
      if (is_floating(expected.tensors[t].dtype)) continue;
      call c = make_call(form, type, outer, classes, inner, v, true, 11);
      c.options.ignore_index = expected.options.ignore_index;
      copy_elements(&c.tensors[t], &expected.tensors[t]);
      if (t != TARGETS && form != CE_PROBS && c.has[TARGETS] && !is_floating(c.tensors[TARGETS].dtype))
        copy_elements(&c.tensors[TARGETS], &expected.tensors[TARGETS]);
      check_same(&c, t, integer, &expected);
      free_call(&c);
    }
  free_call(&expected);
}

/* A mask is what is not 0, whatever its low byte. */
static void check_mask_values(tensor mask) {
  static const struct {
    xent_dtype type;
    int64_t value;
  } values[] = {{XENT_U8, 255},   {XENT_I8, -128},        {XENT_I16, 256},          {XENT_I16, INT16_MIN},
                {XENT_U16, 0xFF00}, {XENT_I32, 1 << 16},  {XENT_U32, INT64_C(1) << 31}, {XENT_I64, INT64_C(1) << 32},
                {XENT_I64, INT64_MIN}, {XENT_U64, INT64_MIN}};
  call ones = make_call(CE_INDEX, F32, 6, 7, 2, variant_named("everything"), false, 3);
  REQUIRE(run_call(&ones, NULL) == XENT_OK);
  for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
    call c = make_call(CE_INDEX, F32, 6, 7, 2, variant_named("everything"), false, 3);
    retype_tensor(&c, mask, values[k].type);
    const xent_tensor *x = &c.tensors[mask];
    for (int64_t n = 0; n < tensor_count(x); n++) {
      int64_t o = n / (x->classes * x->inner), j = n / x->inner % x->classes, i = n % x->inner;
      if (load_integer(x, o, j, i)) store_integer(x, o, j, i, values[k].value);
    }
    xent_status status = run_call(&c, NULL);
    const char *different = status == XENT_OK ? different_output(&c, &ones) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: %s %" PRId64 " is not 0", tensor_name(CE_INDEX, mask), dtype_names[values[k].type],
          values[k].value);
    free_call(&c);
  }
  free_call(&ones);
}

static void check_output_dtypes(form form, dtype type, int64_t classes) {
  static const tensor outputs[] = {ARGMAX, TARGET_RANK, TOP_INDICES};
  call narrow = make_call(form, type, 9, classes, 3, variants, true, 5);
  call wide = make_call(form, type, 9, classes, 3, variants, true, 5);
  for (size_t k = 0; k < sizeof outputs / sizeof *outputs; k++) {
    if (!narrow.has[outputs[k]]) continue;
    retype_tensor(&narrow, outputs[k], XENT_I32);
    retype_tensor(&wide, outputs[k], XENT_I64);
  }
  REQUIRE(run_call(&narrow, NULL) == XENT_OK && run_call(&wide, NULL) == XENT_OK);
  for (size_t k = 0; k < sizeof outputs / sizeof *outputs; k++) {
    const xent_tensor *a = &narrow.tensors[outputs[k]], *b = &wide.tensors[outputs[k]];
    bool same = true;
    if (!narrow.has[outputs[k]]) continue;
    for (int64_t n = 0; n < tensor_count(a); n++) same &= ((int32_t *)a->data)[n] == ((int64_t *)b->data)[n];
    CHECK(same, "%s: %s of i32 and of i64", call_label(&narrow), tensor_name(form, outputs[k]));
    CHECK(is_rest_untouched(&narrow, outputs[k]), "%s: %s of i32 writes 4 bytes", call_label(&narrow),
          tensor_name(form, outputs[k]));
  }
  free_call(&narrow);
  free_call(&wide);
}

/* ---- Outside the classes ---------------------------------------------------------------------------------------- */

static const struct {
  xent_dtype type;
  int64_t bits, ignore_index;
  const char *text;
} wrong[] = {
    {XENT_I64, INT64_C(1) << 32, 0, "4294967296"},
    {XENT_I64, (INT64_C(1) << 32) + 1, -100, "4294967297"},
    {XENT_I64, INT64_MIN, -100, "-9223372036854775808"},
    {XENT_I64, 7, -100, "7"},
    {XENT_I8, -1, -100, "-1"},
    {XENT_I8, -128, 128, "-128"},
    {XENT_U8, 156, -100, "156"},
    {XENT_U8, 255, -1, "255"},
    {XENT_I16, -3, -100, "-3"},
    {XENT_I16, 256, 0, "256"},
    {XENT_U16, 65436, -100, "65436"},
    {XENT_I32, INT32_MIN, -100, "-2147483648"},
    {XENT_I32, -100, 100, "-100"},
    {XENT_U32, INT64_C(4294967196), -100, "4294967196"},
    {XENT_U64, -100, -100, "18446744073709551516"},
    {XENT_U64, INT64_MIN, -100, "9223372036854775808"},
    {XENT_U64, INT64_MIN, INT64_MIN, "9223372036854775808"},
    {XENT_U64, -1, -1, "18446744073709551615"},
    {XENT_U64, 7, 8, "7"},
};


/* Writes a wrong value into row `row` of the integers t, and one more into the row behind it. */
static void check_wrong(form form, dtype type, tensor t, size_t k, int64_t row, int64_t inner, const layout *l) {
  const int64_t classes = 7, outer = 6;
  call c = make_call(form, type, outer, classes, inner, variants, false, 9);
  xent_error error = {.struct_size = sizeof error};
  char text[128], wanted[200];
  if (t == TARGETS) c.options.ignore_index = wrong[k].ignore_index;
  for (int64_t n = 0; t == TARGETS && n < tensor_count(&c.tensors[t]); n++) ((int64_t *)c.tensors[t].data)[n] = n % 7;
  retype_tensor(&c, t, wrong[k].type);
  move_tensor(&c, t, l);
  int64_t entry = c.tensors[t].classes - 1;
  for (int64_t r = row; r < outer * inner && r < row + 2; r++)
    store_integer(&c.tensors[t], r / inner, r == row ? entry : 0, r % inner, r == row ? wrong[k].bits : 99);

  xent_status status = run_call(&c, &error);
  bool has_entries = t == GATHER || form == CE_SPARSE;
  snprintf(text, sizeof text, "%s[%" PRId64 "]", tensor_name(form, t), row);
  if (has_entries) snprintf(text + strlen(text), sizeof text - strlen(text), "[%" PRId64 "]", entry);
  snprintf(wanted, sizeof wanted, "%s: %s is %s, not in [0, 7)", form_specs[form].function, text, wrong[k].text);
  if (t == TARGETS)
    snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), " and not ignore_index (%" PRId64 ")",
             wrong[k].ignore_index);
  because("status %d, \"%s\"", (int)status, xent_last_error());
  CHECK(status == XENT_ERR_TARGET && !strcmp(xent_last_error(), wanted), "%s %s, %s, %s", dtype_name(type),
        dtype_names[wrong[k].type], l->name, wanted);
  because("status %d, row %" PRId64 ", value %" PRId64 ", \"%s\"", (int)error.status, error.row, error.value,
          error.message);
  CHECK(error.status == status && error.row == row && error.value == wrong[k].bits &&
            !strcmp(error.message, xent_last_error()),
        "xent_error: %s", wanted);
  CHECK(is_nothing_written(&c), "nothing is written: %s", wanted);
  free_call(&c);
}

int main(void) {
  static const int64_t shapes[][3] = {{5, 7, 1}, {3, 20, 4}, {1, 70, 33}, {40, 100, 1}};
  alarm(300);
  for (form form = 0; form < LOG_SOFTMAX_GRAD; form++)
    for (int v = 0; v < variant_count; v++)
      for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++)
        if (variants[v].forms >> form & 1)
          check_dtypes(form, (dtype)((s + (size_t)v) % DTYPES), shapes[s][0], shapes[s][1], shapes[s][2], &variants[v]);
  check_mask_values(ROW_MASK);
  check_mask_values(CLASS_MASK);
  for (dtype type = F32; type < DTYPES; type++) {
    check_output_dtypes(SOFTMAX, type, 40);
    check_output_dtypes(CE_INDEX, type, 5);
    check_output_dtypes(CE_INDEX, type, 300);
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
      for (int64_t inner = 1; inner <= 4; inner += 3) {
        int64_t row = (int64_t)(k + type) % (6 * inner);
        const layout *l = &layouts[(k * 3 + (size_t)inner) % 11];
        check_wrong(CE_INDEX, type, TARGETS, k, row, inner, l);
        check_wrong(CE_SPARSE, type, TARGETS, k, row, inner, l);
        check_wrong(NLL, type, TARGETS, k, row, inner, l);
        check_wrong(SOFTMAX, type, GATHER, k, row, inner, l);
        check_wrong(CE_PROBS, type, GATHER, k, row, inner, l);
      }
  }
  return check_summary();
}
