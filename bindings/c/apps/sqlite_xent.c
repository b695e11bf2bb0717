/* SPDX-License-Identifier: Apache-2.0
 *
 * A loadable extension for SQLite: logged model outputs are scored where they lie.
 *
 *   softmax_entropy(logits [, dtype])           nats; the entropy of softmax(logits)
 *   cross_entropy(logits, target [, dtype])     nats; -log of the target's probability; NULL for target -100
 *   perplexity(logits, target [, dtype])        e to the mean cross-entropy of a group or window; NULL for an empty one
 *
 * logits is a BLOB of numbers in the machine's byte order, one for each class (numpy's tobytes()), of dtype 'f32' (when
 * left out), 'f64', 'f16' or 'bf16'. target is an INTEGER. A NULL argument makes the result NULL, and perplexity passes
 * over such rows, as SQL's own functions do; -100 is the target of a row that does not count. A target outside the classes,
 * a blob of the wrong size or type is an SQL error with a text that says so. A NaN result is NULL: SQL has no NaN.
 *
 *   cc -std=c99 -shared -fPIC sqlite_xent.c -I../../../Include ../../../build/lib/libxent.a -Wl,--exclude-libs,ALL \
 *     -lm -pthread -o xent.so
 *   sqlite3 log.db
 *   sqlite> .load ./xent
 *   sqlite> SELECT model, perplexity(logits, token) FROM steps GROUP BY model;
 */
#include <sqlite3ext.h>
#include <xent.h>

#include <math.h>
#include <stdint.h>
#include <string.h>

SQLITE_EXTENSION_INIT1

/* ---- Arguments ------------------------------------------------------------------------------------------------ */

static const struct {
  const char *name;
  xent_dtype dtype;
  int size;
} dtypes[] = {{"f32", XENT_F32, 4}, {"f64", XENT_F64, 8}, {"f16", XENT_F16, 2}, {"bf16", XENT_BF16, 2}};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

/* One row, as SQL gives it. */
typedef struct row {
  xent_tensor logits;
  int64_t target;
  void *copy; /* to be freed */
} row;

typedef enum outcome { ROW, NOTHING, FAILED } outcome; /* NOTHING: an argument is NULL */

static outcome fail(sqlite3_context *context, const char *format, const char *word) {
  char *text = sqlite3_mprintf(format, word);
  if (text) {
    sqlite3_result_error(context, text, -1);
  } else {
    sqlite3_result_error_nomem(context);
  }
  sqlite3_free(text);
  return FAILED;
}

/* Reads (logits [, target] [, dtype]); on FAILED the error is the function's result. */
static outcome read_row(sqlite3_context *context, int count, sqlite3_value **values, int has_target, row *found) {
  const int dtype_at = 1 + has_target;
  const char *name = "f32";
  const void *data;
  int k, size;
  found->copy = NULL;
  found->target = 0;
  for (k = 0; k < count; k++) {
    if (sqlite3_value_type(values[k]) == SQLITE_NULL) return NOTHING;
  }
  if (sqlite3_value_type(values[0]) != SQLITE_BLOB) return fail(context, "logits are not a BLOB%s", "");
  if (has_target) {
    if (sqlite3_value_type(values[1]) != SQLITE_INTEGER) return fail(context, "the target is not an INTEGER%s", "");
    found->target = sqlite3_value_int64(values[1]);
  }
  if (count > dtype_at) name = (const char *)sqlite3_value_text(values[dtype_at]);
  if (!name) return fail(context, "out of memory%s", "");
  for (k = 0; k < DTYPES && strcmp(name, dtypes[k].name) != 0; k++) {
  }
  if (k == DTYPES) return fail(context, "dtype is '%s', not 'f32', 'f64', 'f16' or 'bf16'", name);
  data = sqlite3_value_blob(values[0]); /* before its size is asked for; NULL for no bytes */
  size = sqlite3_value_bytes(values[0]);
  if (size % dtypes[k].size != 0) return fail(context, "the BLOB's size is not a multiple of that of %s", name);
  if ((uintptr_t)data % (size_t)dtypes[k].size != 0) { /* it may lie anywhere in a page of the database */
    found->copy = sqlite3_malloc(size);
    if (!found->copy) return fail(context, "out of memory%s", "");
    memcpy(found->copy, data, (size_t)size);
    data = found->copy;
  }
  {
    const xent_tensor logits = XENT_MATRIX(data, dtypes[k].dtype, 1, size / dtypes[k].size);
    found->logits = logits;
  }
  return ROW;
}

/* A call's options and the place for its error. A row is too small to be worth threads. */
typedef struct call {
  xent_options options;
  xent_outputs outputs;
  xent_error error;
} call;

static call new_call(void) {
  const call made = {XENT_OPTIONS_INIT, XENT_OUTPUTS_INIT, {sizeof(xent_error), XENT_OK, 0, 0, 0, ""}};
  call c = made;
  c.options.num_threads = 1;
  return c;
}

/* ---- Functions ------------------------------------------------------------------------------------------------ */

/* The result's own precision: that of losses. */
static xent_dtype real_dtype(const row *r) { return r->logits.dtype == XENT_F64 ? XENT_F64 : XENT_F32; }

typedef union real {
  float f32;
  double f64;
} real;

static double value_of(const row *r, real x) { return r->logits.dtype == XENT_F64 ? x.f64 : (double)x.f32; }

static void softmax_entropy(sqlite3_context *context, int count, sqlite3_value **values) {
  call c = new_call();
  row r;
  real result;
  if (read_row(context, count, values, 0, &r) != ROW) return; /* NULL is the result that a function begins with */
  {
    const xent_tensor entropy = XENT_SCALAR(&result, real_dtype(&r));
    c.outputs.entropy = &entropy;
    if (xent_softmax(&r.logits, &c.options, &c.outputs, &c.error) == XENT_OK) {
      sqlite3_result_double(context, value_of(&r, result));
    } else {
      sqlite3_result_error(context, c.error.message, -1);
    }
  }
  sqlite3_free(r.copy);
}

/* The loss of a row; *counts is 0 for a target that is ignored. */
static outcome row_loss(sqlite3_context *context, const row *r, double *loss, int64_t *counts) {
  call c = new_call();
  real result;
  const xent_tensor target = XENT_SCALAR(&r->target, XENT_I64), loss_out = XENT_SCALAR(&result, real_dtype(r));
  c.outputs.row_loss = &loss_out;
  c.outputs.rows_counted = counts;
  if (xent_cross_entropy(&r->logits, &target, &c.options, &c.outputs, &c.error) != XENT_OK) {
    sqlite3_result_error(context, c.error.message, -1);
    return FAILED;
  }
  *loss = value_of(r, result);
  return ROW;
}

static void cross_entropy(sqlite3_context *context, int count, sqlite3_value **values) {
  row r;
  double loss;
  int64_t counts;
  if (read_row(context, count, values, 1, &r) != ROW) return;
  if (row_loss(context, &r, &loss, &counts) == ROW && counts) sqlite3_result_double(context, loss);
  sqlite3_free(r.copy);
}

/* ---- An aggregate --------------------------------------------------------------------------------------------- */

/* An exact sum: a fixed-point number in digits of 32 bits, the lowest worth 2^-1074, with room for carries in each. So
 * that a row that leaves a window leaves nothing behind, and the order of rows does not matter. */
enum { DIGITS = 68, LOWEST = -1074, CARRY_EVERY = 1 << 29 };

typedef struct perplexity_state {
  int64_t digit[DIGITS];
  int64_t rows, infinite, nan; /* that count, and how many of them are not in the sum */
  int64_t steps;               /* since carries were last moved on */
} perplexity_state;

static void carry(int64_t *digit) {
  int k;
  for (k = 0; k + 1 < DIGITS; k++) {
    const int64_t low = digit[k] & 0xFFFFFFFF;
    digit[k + 1] += (digit[k] - low) / ((int64_t)1 << 32);
    digit[k] = low;
  }
}

/* Adds a loss, or takes it away. */
static void add(perplexity_state *state, double loss, int sign) {
  state->rows += sign;
  if (isnan(loss)) {
    state->nan += sign;
  } else if (isinf(loss)) {
    state->infinite += sign;
  } else if (loss != 0) {
    int exponent, at, shift;
    const double fraction = frexp(loss, &exponent); /* in [1/2, 1); a subnormal has fewer bits, so that none is lost */
    const int least = exponent - 53 < LOWEST ? LOWEST : exponent - 53;
    const uint64_t bits = (uint64_t)ldexp(fraction, exponent - least);
    uint64_t low, high;
    at = (least - LOWEST) / 32, shift = (least - LOWEST) % 32;
    low = (bits & 0xFFFFFFFF) << shift, high = (bits >> 32) << shift;
    state->digit[at] += sign * (int64_t)(low & 0xFFFFFFFF);
    state->digit[at + 1] += sign * (int64_t)((low >> 32) + (high & 0xFFFFFFFF));
    state->digit[at + 2] += sign * (int64_t)(high >> 32);
    if (++state->steps == CARRY_EVERY) carry(state->digit), state->steps = 0;
  }
}

static double sum(const perplexity_state *state) {
  perplexity_state s = *state;
  double total = 0;
  int k;
  carry(s.digit);
  for (k = 0; k < DIGITS; k++) total += ldexp((double)s.digit[k], 32 * k + LOWEST);
  return total;
}

static void step(sqlite3_context *context, int count, sqlite3_value **values, int sign) {
  perplexity_state *state = sqlite3_aggregate_context(context, sizeof *state);
  row r;
  double loss;
  int64_t counts;
  if (!state) {
    sqlite3_result_error_nomem(context);
    return;
  }
  if (read_row(context, count, values, 1, &r) != ROW) return;
  if (row_loss(context, &r, &loss, &counts) == ROW && counts) add(state, loss, sign);
  sqlite3_free(r.copy);
}

static void perplexity_step(sqlite3_context *context, int count, sqlite3_value **values) {
  step(context, count, values, 1);
}

static void perplexity_inverse(sqlite3_context *context, int count, sqlite3_value **values) {
  step(context, count, values, -1);
}

static void perplexity_value(sqlite3_context *context) {
  const perplexity_state *state = sqlite3_aggregate_context(context, 0); /* NULL when there was no row */
  if (!state || state->rows == 0 || state->nan) return;
  sqlite3_result_double(context, state->infinite ? (double)INFINITY : exp(sum(state) / (double)state->rows));
}

/* ---- The extension -------------------------------------------------------------------------------------------- */

#ifdef _WIN32
__declspec(dllexport)
#endif
/* The name that SQLite looks for in a file of any name. LOAD_PERMANENTLY: with libxent in it this file has that library's
 * threads, whose code must not be unmapped when a connection is closed (libxent.so sees to that by itself). */
int sqlite3_extension_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
  /* The same arguments give the same bits, and nothing outside the result is touched: indices and views may use them. */
  const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
  int with_dtype, status = SQLITE_OK;
  SQLITE_EXTENSION_INIT2(api);
  if (xent_version() / 10000 != XENT_VERSION_MAJOR) {
    *message = sqlite3_mprintf("libxent is version %d, not %d.x", (int)xent_version(), XENT_VERSION_MAJOR);
    return SQLITE_ERROR;
  }
  for (with_dtype = 0; with_dtype < 2 && status == SQLITE_OK; with_dtype++) {
    status = sqlite3_create_function_v2(db, "softmax_entropy", 1 + with_dtype, flags, NULL, softmax_entropy, NULL, NULL,
                                        NULL);
    if (status == SQLITE_OK) {
      status = sqlite3_create_function_v2(db, "cross_entropy", 2 + with_dtype, flags, NULL, cross_entropy, NULL, NULL,
                                          NULL);
    }
    if (status == SQLITE_OK) {
      status = sqlite3_create_window_function(db, "perplexity", 2 + with_dtype, flags, NULL, perplexity_step,
                                              perplexity_value, perplexity_value, perplexity_inverse, NULL);
    }
  }
  return status == SQLITE_OK ? SQLITE_OK_LOAD_PERMANENTLY : status;
}
