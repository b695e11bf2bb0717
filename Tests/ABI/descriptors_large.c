/* SPDX-License-Identifier: Apache-2.0
 *
 * More than 2^31 elements, and strides that reach farther, in address space of which few pages are ever touched.
 */
#include "check.h"
#include "descriptors.h"

#include <math.h>
#include <sys/mman.h>
#include <unistd.h>

/* Address space without memory behind it; NULL if it cannot be had. */
static char *reserve(size_t bytes) {
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory != MAP_FAILED) return memory;
  printf("# no address space for %zu bytes\n", bytes);
  return NULL;
}

/* 2^31 contiguous logits and more, of which three rows count and are the same. */
static void check_many(form form, dtype type, int64_t inner) {
  const int64_t classes = 5000, outer = ((INT64_C(1) << 31) / classes + 1000) / inner, rows = outer * inner;
  const int64_t counted[] = {0, rows / 2 + 1, rows - 1};
  const size_t bytes = (size_t)(rows * classes) * dtype_size(type);
  char *memory = reserve(bytes);
  if (!memory) return;
  call one = make_call(form, type, 1, classes, 1, variants, false, 1), many = one;
  for (tensor t = WEIGHT; t < TENSORS; t++) one.has[t] = t == ROW_LOSS || t == REDUCED_LOSS;
  store_integer(&one.tensors[TARGETS], 0, 0, 0, 4321);
  memcpy(many.has, one.has, sizeof many.has);
  many.tensors[LOGITS] = (xent_tensor){
      sizeof(xent_tensor), memory, (xent_dtype)type + 1, 0, outer, classes, inner, classes * inner, inner, 1};
  xent_tensor *targets = &many.tensors[TARGETS], *row_loss = &many.tensors[ROW_LOSS];
  *targets = (xent_tensor){sizeof *targets, NULL, XENT_I16, 0, outer, 1, inner, inner, 1, 1};
  *row_loss = (xent_tensor){sizeof *targets, NULL, row_loss->dtype, 0, outer, 1, inner, inner, 1, 1};
  REQUIRE((targets->data = malloc((size_t)rows * sizeof(int16_t))));
  REQUIRE((row_loss->data = malloc((size_t)rows * sizeof(double))));
  float loss;
  double wide_loss;
  many.tensors[REDUCED_LOSS].data = type == F64 ? (void *)&wide_loss : &loss;
  for (int64_t n = 0; n < rows; n++) store_integer(targets, n / inner, 0, n % inner, XENT_IGNORE_INDEX);
  for (int k = 0; k < 3; k++) {
    store_integer(targets, counted[k] / inner, 0, counted[k] % inner, 4321);
    for (int64_t j = 0; j < classes; j++)
      store_element(&many.tensors[LOGITS], counted[k] / inner, j, counted[k] % inner,
                    load_element(&one.tensors[LOGITS], 0, j, 0));
  }
  bool done = run_call(&one, NULL) == XENT_OK && run_call(&many, NULL) == XENT_OK;
  because("%s", xent_last_error());
  CHECK(done, "%s %s: 2^31 elements", form_specs[form].label, dtype_name(type));
  double wanted = load_element(&one.tensors[ROW_LOSS], 0, 0, 0), rest = 0;
  bool same = true;
  for (int k = 0; k < 3; k++) {
    same &= load_element(row_loss, counted[k] / inner, 0, counted[k] % inner) == wanted;
    store_element(row_loss, counted[k] / inner, 0, counted[k] % inner, 0);
  }
  for (int64_t n = 0; n < rows; n++) rest += load_element(row_loss, n / inner, 0, n % inner);
  because("%g, %g", wanted, rest);
  CHECK(same && rest == 0, "%s %s: losses of rows beyond 2^31 elements", form_specs[form].label, dtype_name(type));
  because("%lld, %g, %g", (long long)many.sums.rows_counted, many.sums.loss_sum, 3 * one.sums.loss_sum);
  CHECK(many.sums.rows_counted == 3 && many.sums.loss_sum > 2.999 * one.sums.loss_sum &&
            many.sums.loss_sum < 3.001 * one.sums.loss_sum,
        "%s %s: sums of 2^31 elements", form_specs[form].label, dtype_name(type));
  free(targets->data);
  free(row_loss->data);
  munmap(memory, bytes);
  free_call(&one);
}

/* Rows, classes or columns 2^31 elements and more apart, forwards and backwards, in memory of which only those pages
 * are there. */
static void check_far_apart(form form, dtype type, int axis, int64_t sign) {
  enum { STEP_GB = 8 };
  const size_t bytes = (size_t)5 * STEP_GB << 30;
  const int64_t step = (int64_t)((size_t)STEP_GB << 30) / (int64_t)dtype_size(type) + 3;
  call expected = make_call(form, type, 3, 3, 3, variants, false, 1), c = expected;
  char *memory[TENSORS] = {NULL};
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  for (tensor t = 0; t < TENSORS; t++) {
    xent_tensor *x = &c.tensors[t];
    if (!c.has[t] || (t != LOGITS && t != GRAD_LOGITS) || x->dtype != (xent_dtype)type + 1) continue;
    if (axis == 0) x->outer_stride = sign * step;
    if (axis == 1) x->class_stride = sign * step;
    if (axis == 2) x->inner_stride = sign * step;
    if (!(memory[t] = reserve(bytes))) {
      c.has[t] = false;
      continue;
    }
    REQUIRE((size_t)span_bytes(x) < bytes);
    place_at(x, memory[t]);
    if (!is_output(t)) copy_elements(x, &expected.tensors[t]);
  }
  if (c.has[LOGITS] && c.has[GRAD_LOGITS]) {
    const char *different = run_call(&c, NULL) == XENT_OK ? different_output(&c, &expected) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: %s stride of %lld elements", call_label(&c),
          axis == 0   ? "outer"
          : axis == 1 ? "class"
                      : "inner",
          (long long)(sign * step));
  }
  for (tensor t = 0; t < TENSORS; t++)
    if (memory[t]) munmap(memory[t], bytes);
  free_call(&expected);
}

/* Outputs so large that they go past the caches, wherever they begin in a line of memory: bit by bit what calls in place make,
 * which do not, and nothing around them. */
static void check_streamed(int64_t classes, int64_t offset) {
  enum { AROUND = 64, SOFTMAX = 0, LOG_SOFTMAX, GRADIENT, FASTEST, OPERATIONS };
  static const char *const names[OPERATIONS] = {"softmax", "log-softmax", "gradient", "fastest gradient"};
  const int64_t rows = (INT64_C(7) << 20) / classes + 1;
  const size_t count = (size_t)(rows * classes);
  float *logits = malloc(count * sizeof *logits), *wanted = malloc(count * sizeof *wanted), loss;
  char *memory = malloc(count * sizeof *wanted + 4 * AROUND), *aligned = memory;
  int64_t *targets = malloc((size_t)rows * sizeof *targets);
  REQUIRE(logits && wanted && memory && targets);
  while ((uintptr_t)aligned % AROUND) aligned++;
  float *out = (float *)(aligned + AROUND + offset);
  uint64_t state = (uint64_t)classes;
  for (size_t i = 0; i < count; i++) logits[i] = (float)(8 * random_unit(&state));
  if (rows > 4) logits[3 * classes + 5] = NAN;
  for (int64_t n = 0; n < rows; n++)
    targets[n] = n % 7 != 1 ? (int64_t)(random_bits(&state) % (uint64_t)classes) : XENT_IGNORE_INDEX;
  for (int k = 0; k < OPERATIONS; k++) {
    memcpy(wanted, logits, count * sizeof *wanted);
    memset(aligned, 77, count * sizeof *out + 3 * AROUND);
    for (int in_place = 1; in_place >= 0; in_place--) {
      float *x = in_place ? wanted : logits, *to = in_place ? wanted : out;
      xent_options options = XENT_OPTIONS_INIT;
      options.reduction = XENT_REDUCTION_SUM;
      options.accuracy = k == FASTEST ? XENT_ACCURACY_FASTEST : XENT_ACCURACY_FAITHFUL;
      xent_tensor from = {sizeof from, x, XENT_F32, 0, rows, classes, 1, classes, 1, 1}, grad = from;
      xent_tensor t = {sizeof t, targets, XENT_I64, 0, rows, 1, 1, 1, 1, 1}, sum = {sizeof sum, &loss, XENT_F32, 0, 1, 1, 1, 1, 1, 1};
      grad.data = to;
      xent_outputs outputs = XENT_OUTPUTS_INIT;
      outputs.grad_logits = &grad;
      outputs.loss = &sum;
      xent_status status = k == SOFTMAX       ? xent_softmax_f32(x, rows, classes, to)
                           : k == LOG_SOFTMAX ? xent_log_softmax_f32(x, rows, classes, to)
                                              : xent_cross_entropy(&from, &t, &options, &outputs, NULL);
      because("%s", xent_last_error());
      REQUIRE(status == XENT_OK);
    }
    CHECK(!memcmp(out, wanted, count * sizeof *out), "%s of %lld classes, streamed from byte %lld of a line on", names[k],
          (long long)classes, (long long)offset);
    bool is_left = true;
    for (char *p = aligned; p < (char *)out; p++) is_left &= *p == 77;
    for (int i = 0; i < 32; i++) is_left &= ((char *)(out + count))[i] == 77;
    CHECK(is_left, "%s of %lld classes, streamed: nothing around it", names[k], (long long)classes);
  }
  free(logits);
  free(wanted);
  free(memory);
  free(targets);
}

/* The same of outputs whose classes lie apart, of which whole lines alone go past the caches: images whose classes all begin with a
 * line, and such that they begin anywhere. */
static void check_streamed_across(dtype type, int64_t inner, int64_t offset) {
  enum { CLASSES = 21, PARTS = 5, AROUND = 64 };
  const int64_t size = (int64_t)dtype_size(type), image = CLASSES * inner;
  const int64_t images = (INT64_C(17) << 20) / (image * size) + 1;
  const size_t bytes = (size_t)(images * image * size);
  static const char *const names[] = {"softmax", "log-softmax", "gradient"};
  char *logits = malloc(bytes), *wanted = malloc(bytes), *memory = malloc(bytes + 3 * AROUND), *aligned = memory;
  int32_t *targets = malloc((size_t)(images * inner) * sizeof *targets);
  REQUIRE(logits && wanted && memory && targets);
  while ((uintptr_t)aligned % AROUND) aligned++;
  char *out = aligned + AROUND + offset * size;
  uint64_t state = (uint64_t)(inner + offset);
  xent_tensor x = {sizeof x, logits, (xent_dtype)type + 1, 0, images, CLASSES, inner, image, inner, 1};
  for (int64_t n = 0; n < images; n++)
    for (int64_t c = 0; c < CLASSES; c++)
      for (int64_t i = 0; i < inner; i++) store_element(&x, n, c, i, 8 * random_unit(&state));
  store_element(&x, 1, 5, 3, (double)NAN);
  for (int64_t n = 0; n < images * inner; n++)
    targets[n] = n % 7 ? (int32_t)(random_bits(&state) % CLASSES) : XENT_IGNORE_INDEX;
  xent_options options = XENT_OPTIONS_INIT;
  options.reduction = XENT_REDUCTION_SUM;
  for (int k = 0; k < 3; k++) {
    memset(aligned, 77, bytes + 2 * AROUND);
    for (int part = 0; part <= PARTS; part++) {
      const bool is_whole = part == PARTS;
      const int64_t first = is_whole ? 0 : images * part / PARTS, end = is_whole ? images : images * (part + 1) / PARTS;
      xent_tensor from = x, to = x, t = {sizeof t, targets + first * inner, XENT_I32, 0, end - first, 1, inner, inner, 1, 1};
      from.data = logits + first * image * size;
      to.data = is_whole ? out : wanted + first * image * size;
      from.outer = to.outer = end - first;
      xent_outputs outputs = XENT_OUTPUTS_INIT;
      if (k == 0) outputs.probs = &to;
      if (k == 1) outputs.log_probs = &to;
      if (k == 2) outputs.grad_logits = &to;
      REQUIRE((k == 2 ? xent_cross_entropy(&from, &t, &options, &outputs, NULL)
                      : xent_softmax(&from, &options, &outputs, NULL)) == XENT_OK);
    }
    CHECK(!memcmp(out, wanted, bytes), "%s %s of images of %lld pixels, streamed from element %lld of a line on",
          dtype_name(type), names[k], (long long)inner, (long long)offset);
    bool is_left = true;
    for (char *p = aligned; p < out; p++) is_left &= *p == 77;
    for (int i = 0; i < 32; i++) is_left &= out[bytes + (size_t)i] == 77;
    CHECK(is_left, "%s %s of images of %lld pixels, streamed: nothing around it", dtype_name(type), names[k],
          (long long)inner);
  }
  free(logits);
  free(wanted);
  free(memory);
  free(targets);
}

int main(void) {
  alarm(600);
  /* At the baseline next to nothing does, and this would take a minute. */
  const bool is_baseline = !strcmp(xent_cpu_level(), "baseline");
  for (dtype type = is_baseline ? DTYPES : F32; type < DTYPES; type++) {
    check_streamed_across(type, 4096, 0);
    check_streamed_across(type, 4096, 3);
    check_streamed_across(type, 1003, 0);
  }
  for (int64_t offset = 0; offset < 64; offset += 20) {
    check_streamed(2048, offset);
    if (is_baseline) continue;
    check_streamed(16, offset); /* in tiles */
    check_streamed(117, offset);
    check_streamed(200, offset);
    check_streamed(300, offset);
    check_streamed(1000, offset);
    check_streamed(5003, offset);
    check_streamed(INT64_C(5) << 20, offset); /* in pieces, each thread some of them */
  }
  for (int64_t inner = 1; inner <= 20; inner += 19) {
    check_many(CE_INDEX, F32, inner);
    check_many(CE_INDEX, BF16, inner);
    check_many(NLL, F64, inner);
  }
  for (form form = 0; form < FORMS; form++)
    for (dtype type = F32; type < DTYPES; type++)
      for (int axis = 0; axis < 3; axis++)
        for (int64_t sign = -1; sign <= 1; sign += 2) check_far_apart(form, type, axis, sign);
  return check_summary();
}
