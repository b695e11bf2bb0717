/* SPDX-License-Identifier: Apache-2.0
 *
 * xent_last_error() behaves like errno, every status has a sentence, and of many rows the first wrong one is named. What
 * is refused, and with which text, is in refusals.txt.
 */
#include "check.h"
#include "operations.h"

#include <pthread.h>
#include <unistd.h>

/* Large enough for threads: the first wrong row is still the one that is named, and nothing is written. */
static void check_target(const operation *op, dtype type) {
  parameters p = {20000, 40, XENT_IGNORE_INDEX, XENT_REDUCTION_NONE};
  void *arrays[MAX_ARRAYS], *before[MAX_ARRAYS];
  char wanted[160];
  allocate_arrays(op, type, &p, arrays);
  allocate_arrays(op, type, &p, before);
  fill_arrays(op, type, &p, arrays, 7);
  int64_t *targets = arrays[array_index(op, "targets")];
  targets[4999] = 40;
  targets[19999] = -1;
  for (int k = 0; k < op->count; k++) memcpy(before[k], arrays[k], array_bytes(&op->arrays[k], type, &p));
  snprintf(wanted, sizeof wanted, "%s: targets[4999] is 40, not in [0, 40) and not ignore_index (-100)", function_name(op, type));
  xent_status status = op->call[type](arrays, &p);
  because("status %d, text \"%s\"", (int)status, xent_last_error());
  CHECK(status == XENT_ERR_TARGET && !strcmp(xent_last_error(), wanted), "%s", wanted);
  for (int k = 0; k < op->count; k++)
    CHECK(!memcmp(arrays[k], before[k], array_bytes(&op->arrays[k], type, &p)), "%s: %s stays", function_name(op, type),
          op->arrays[k].name);
  free_arrays(op, arrays);
  free_arrays(op, before);
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
  alarm(60);
  because("\"%s\"", xent_last_error());
  CHECK(!strcmp(xent_last_error(), ""), "no last error before the first");
  check_status_strings();
  CHECK(!strcmp(xent_last_error(), ""), "asking for sentences is no error");
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++)
      if (operations[k].has_options) check_target(&operations[k], type);
  check_last_error();
  return check_summary();
}
