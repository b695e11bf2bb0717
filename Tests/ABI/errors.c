/* SPDX-License-Identifier: Apache-2.0
 *
 * Every status through every function that can return it: the text names function, argument, row and value, nothing is
 * written, errno stays, and xent_last_error() behaves like errno. Statuses for overlap are in overlap.c, for memory in
 * memory.c.
 */
#include "check.h"
#include "operations.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

/* A call that is right; each check spoils one thing. Copies show afterwards what was written. */
typedef struct {
  const operation *op;
  dtype type;
  parameters p;
  void *arrays[MAX_ARRAYS], *before[MAX_ARRAYS];
  size_t bytes[MAX_ARRAYS];
} call;

static call begin(const operation *op, dtype type, int64_t rows, int64_t classes) {
  call c = {.op = op, .type = type, .p = {rows, classes, XENT_IGNORE_INDEX, XENT_REDUCTION_NONE}};
  allocate_arrays(op, type, &c.p, c.arrays);
  allocate_arrays(op, type, &c.p, c.before);
  fill_arrays(op, type, &c.p, c.arrays, 7);
  for (int k = 0; k < op->count; k++) {
    c.bytes[k] = array_bytes(&op->arrays[k], type, &c.p);
    memcpy(c.before[k], c.arrays[k], c.bytes[k]);
  }
  return c;
}

static void end(call *c) {
  free_arrays(c->op, c->arrays);
  free_arrays(c->op, c->before);
}

/* The status that is wanted, a text that starts with the function's name and goes on with `wanted` (exactly, or up to a
 * trailing '*'), and not one byte changed. */
__attribute__((format(printf, 5, 6))) static void expect(call *c, const parameters *p, void *const *arrays,
                                                         xent_status wanted_status, const char *wanted, ...) {
  const char *name = function_name(c->op, c->type);
  char rest[256], text[320];
  va_list list;
  va_start(list, wanted);
  vsnprintf(rest, sizeof rest, wanted, list);
  va_end(list);
  size_t length = (size_t)snprintf(text, sizeof text, "%s: %s", name, rest);
  bool is_prefix = text[length - 1] == '*';

  errno = 4711;
  xent_status status = c->op->call[c->type](arrays, p);
  bool errno_kept = errno == 4711;

  because("status %d, text \"%s\"", (int)status, xent_last_error());
  bool text_right = is_prefix ? !strncmp(xent_last_error(), text, length - 1) : !strcmp(xent_last_error(), text);
  CHECK(status == wanted_status && text_right, "%s", text);
  CHECK(errno_kept, "%s: errno stays (%s)", name, rest);
  for (int k = 0; k < c->op->count; k++)
    CHECK(!memcmp(c->arrays[k], c->before[k], c->bytes[k]), "%s: %s stays (%s)", name, c->op->arrays[k].name, rest);
}

static void check_null(const operation *op, dtype type) {
  call c = begin(op, type, 4, 3);
  for (int k = 0; k < op->count; k++) {
    void *arrays[MAX_ARRAYS];
    memcpy(arrays, c.arrays, sizeof arrays);
    arrays[k] = NULL;
    if (!op->arrays[k].is_nullable) {
      expect(&c, &c.p, arrays, XENT_ERR_NULL, "%s is NULL", op->arrays[k].name);
    } else {
      CHECK(op->call[type](arrays, &c.p) == XENT_OK, "%s: %s may be NULL", function_name(op, type),
            op->arrays[k].name);
      for (int j = 0; j < op->count; j++) memcpy(c.arrays[j], c.before[j], c.bytes[j]);
    }
  }
  end(&c);
}

/* NULL is right where an array has no elements, and only there: a reduced loss has one, however few the rows. */
static void check_null_of_nothing(const operation *op, dtype type) {
  static const int64_t sizes[][2] = {{0, 0}, {0, 3}, {2, 0}};
  for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
    for (int32_t reduction = 0; reduction < (op->has_reduction ? REDUCTIONS : 1); reduction++) {
      parameters p = {sizes[s][0], sizes[s][1], XENT_IGNORE_INDEX, reduction};
      void *full[MAX_ARRAYS], *arrays[MAX_ARRAYS];
      allocate_arrays(op, type, &p, full);
      fill_arrays(op, type, &p, full, 11);
      for (int k = 0; k < op->count; k++) arrays[k] = element_count(&op->arrays[k], &p) ? full[k] : NULL;
      because("%s", xent_last_error());
      CHECK(op->call[type](arrays, &p) == XENT_OK, "%s: NULL of nothing, %d x %d, reduction %d",
            function_name(op, type), (int)p.rows, (int)p.classes, (int)reduction);
      for (int k = 0; k < op->count; k++) {
        if (!arrays[k] || op->arrays[k].is_nullable) continue;
        void *kept = arrays[k];
        arrays[k] = NULL;
        CHECK(op->call[type](arrays, &p) == XENT_ERR_NULL, "%s: %s still has elements, %d x %d, reduction %d",
              function_name(op, type), op->arrays[k].name, (int)p.rows, (int)p.classes, (int)reduction);
        arrays[k] = kept;
      }
      free_arrays(op, full);
    }
}

static void check_size(const operation *op, dtype type) {
  call c = begin(op, type, 4, 3);
  static const int64_t negative[] = {-1, -4, INT64_MIN};
  for (size_t k = 0; k < sizeof negative / sizeof *negative; k++) {
    parameters p = c.p;
    p.rows = negative[k];
    expect(&c, &p, c.arrays, XENT_ERR_SIZE, "rows is %lld, must not be negative", (long long)p.rows);
    p = c.p;
    p.classes = negative[k];
    expect(&c, &p, c.arrays, XENT_ERR_SIZE, "classes is %lld, must not be negative", (long long)p.classes);
  }
  /* The product wraps to 0, to a small number, to a negative one; or only the bytes do. */
  const int64_t element = (int64_t)dtype_size(type);
  const int64_t large[][2] = {{INT64_C(1) << 32, INT64_C(1) << 32},
                              {INT64_C(1) << 31, INT64_C(1) << 31},
                              {(INT64_C(1) << 62) + 1, 4},
                              {4, (INT64_C(1) << 62) + 1},
                              {INT64_MAX, 2},
                              {2, INT64_MAX},
                              {INT64_MAX, INT64_MAX},
                              {INT64_MAX, 1},
                              {1, INT64_MAX},
                              {3, INT64_MAX / 3 / element + 1}};
  for (size_t k = 0; k < sizeof large / sizeof *large; k++) {
    parameters p = c.p;
    p.rows = large[k][0];
    p.classes = large[k][1];
    expect(&c, &p, c.arrays, XENT_ERR_SIZE, "rows * classes (%lld * %lld) is too large", (long long)p.rows,
           (long long)p.classes);
  }
  /* No elements, but an array of rows or of classes that would not fit. */
  bool has_per_row = false;
  for (int k = 0; k < op->count; k++) has_per_row |= op->arrays[k].shape == PER_ROW;
  parameters p = {INT64_MAX, 0, XENT_IGNORE_INDEX, XENT_REDUCTION_NONE};
  if (has_per_row) expect(&c, &p, c.arrays, XENT_ERR_SIZE, "rows*");
  else CHECK(op->call[type](c.arrays, &p) == XENT_OK, "%s: INT64_MAX rows of nothing", function_name(op, type));
  if (has_weights(op)) {
    p = (parameters){0, INT64_MAX, XENT_IGNORE_INDEX, XENT_REDUCTION_NONE};
    expect(&c, &p, c.arrays, XENT_ERR_SIZE, "classes*");
  }
  end(&c);
}

static void check_target(const operation *op, dtype type) {
  call c = begin(op, type, 6, 3);
  int64_t *targets = c.arrays[array_index(op, "targets")], *before = c.before[array_index(op, "targets")];
  /* The low 32 bits of the one before last are a class; a row behind the first wrong one is wrong too. */
  static const int64_t wrong[] = {7, 3, -1, -99, INT64_MIN, INT64_MAX, (INT64_C(1) << 32) + 1, 255};
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++)
    for (int64_t row = 0; row < 6; row++) {
      for (int n = 0; n < 6; n++) before[n] = targets[n] = n == row ? wrong[k] : n > row ? 5 : n % 3;
      expect(&c, &c.p, c.arrays, XENT_ERR_TARGET, "targets[%lld] is %lld, not in [0, 3) and not ignore_index (-100)",
             (long long)row, (long long)wrong[k]);
    }
  /* -100 is an ordinary wrong target as soon as another value is ignored. */
  parameters p = c.p;
  p.ignore_index = 2;
  for (int n = 0; n < 6; n++) before[n] = targets[n] = n == 3 ? -100 : 2;
  expect(&c, &p, c.arrays, XENT_ERR_TARGET, "targets[3] is -100, not in [0, 3) and not ignore_index (2)");
  for (int32_t reduction = 0; reduction < REDUCTIONS; reduction++) {
    p.reduction = reduction;
    expect(&c, &p, c.arrays, XENT_ERR_TARGET, "targets[3] is -100, not in [0, 3) and not ignore_index (2)");
  }
  targets[3] = 2;
  CHECK(op->call[type](c.arrays, &p) == XENT_OK, "%s: an ignore_index among the classes", function_name(op, type));
  end(&c);

  /* Large enough for threads: the first wrong row is still the one that is named. */
  c = begin(op, type, 20000, 40);
  targets = c.arrays[array_index(op, "targets")], before = c.before[array_index(op, "targets")];
  before[4999] = targets[4999] = 40;
  before[19999] = targets[19999] = -1;
  expect(&c, &c.p, c.arrays, XENT_ERR_TARGET, "targets[4999] is 40, not in [0, 40) and not ignore_index (-100)");
  end(&c);

  c = begin(op, type, 2, 0);
  targets = c.arrays[array_index(op, "targets")], before = c.before[array_index(op, "targets")];
  before[1] = targets[1] = 0;
  expect(&c, &c.p, c.arrays, XENT_ERR_TARGET, "targets[1] is 0, not in [0, 0) and not ignore_index (-100)");
  end(&c);
}

static void check_option(const operation *op, dtype type) {
  static const int32_t wrong[] = {7, 4, -1, INT32_MIN, INT32_MAX, 256};
  call c = begin(op, type, 4, 3);
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    parameters p = c.p;
    p.reduction = wrong[k];
    expect(&c, &p, c.arrays, XENT_ERR_OPTION, "reduction is %d, not 0 (none), 1 (mean), 2 (sum) or 3 (mean_rows)",
           (int)wrong[k]);
  }
  end(&c);
}

/* ---- Status texts, and the last error of each thread ------------------------------------------------------------ */

static void check_status_strings(void) {
  static const xent_status unknown[] = {-1, XENT_ERR_UNSUPPORTED + 1, 1000, INT32_MIN, INT32_MAX};
  const char *for_unknown = xent_status_string(unknown[0]);
  for (xent_status s = XENT_OK; s <= XENT_ERR_UNSUPPORTED; s++) {
    const char *text = xent_status_string(s);
    because("\"%s\"", text ? text : "(null)");
    CHECK(text && strlen(text) > 10 && strcmp(text, for_unknown), "status %d has a sentence", (int)s);
    for (xent_status t = XENT_OK; t < s; t++)
      CHECK(strcmp(text, xent_status_string(t)), "statuses %d and %d differ", (int)s, (int)t);
  }
  for (size_t k = 0; k < sizeof unknown / sizeof *unknown; k++) {
    const char *text = xent_status_string(unknown[k]);
    CHECK(text && strlen(text) > 10 && !strcmp(text, for_unknown), "unknown status %d has a sentence", (int)unknown[k]);
  }
}

static const float logits[3] = {1, 2, 7};

static void *last_error_of_a_new_thread(void *result) {
  bool *right = result;
  float lse;
  right[0] = !strcmp(xent_last_error(), "");
  right[1] = xent_logsumexp_f32(NULL, 1, 3, &lse) == XENT_ERR_NULL &&
             !strcmp(xent_last_error(), "xent_logsumexp_f32: logits is NULL");
  return NULL;
}

static void check_last_error(void) {
  static const char wanted[] = "xent_softmax_f64: probs is NULL";
  double wide[3] = {1, 2, 7};
  float probs[3];
  bool right[2] = {false, false};
  pthread_t thread;

  CHECK(xent_softmax_f64(wide, 1, 3, NULL) == XENT_ERR_NULL, "a first error");
  CHECK(!strcmp(xent_last_error(), wanted), "its text");
  CHECK(xent_softmax_f32(logits, 1, 3, probs) == XENT_OK, "then a success");
  CHECK(!strcmp(xent_last_error(), wanted), "the text stays after a success");
  REQUIRE(!pthread_create(&thread, NULL, last_error_of_a_new_thread, right));
  pthread_join(thread, NULL);
  CHECK(right[0], "a new thread has no last error");
  CHECK(right[1], "a new thread gets its own text");
  CHECK(!strcmp(xent_last_error(), wanted), "the text stays after an error in another thread");
}

int main(void) {
  /* A size that slips through would mean a loop of 2^62 steps. */
  alarm(60);
  because("\"%s\"", xent_last_error());
  CHECK(!strcmp(xent_last_error(), ""), "no last error before the first");
  check_status_strings();
  CHECK(!strcmp(xent_last_error(), ""), "asking for sentences is no error");
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++) {
      check_null(&operations[k], type);
      check_null_of_nothing(&operations[k], type);
      check_size(&operations[k], type);
      if (operations[k].has_options) check_target(&operations[k], type);
      if (operations[k].has_reduction) check_option(&operations[k], type);
    }
  check_last_error();
  return check_summary();
}
