/* SPDX-License-Identifier: Apache-2.0
 *
 * What every refused descriptor call has to show, whatever is wrong with it.
 */
#ifndef REFUSAL_H
#define REFUSAL_H

#include "check.h"
#include "descriptors.h"

#include <errno.h>

/* The status; a text that begins with the function's name and has `words` and `others` (NULL: none) in it; the same in
 * xent_error; errno kept; and no output written. `what` says what was wrong. */
static void check_refused(call *c, const xent_options *options, const xent_outputs *outputs, xent_status wanted,
                          const char *words, const char *others, const char *what) {
  xent_error error = {.struct_size = sizeof error};
  const char *function = form_specs[c->form].function;
  size_t length = strlen(function);
  memset(error.message, UNTOUCHED, sizeof error.message);
  errno = 4711;
  xent_status status = call_with(c, options, outputs, &error);
  bool errno_kept = errno == 4711;
  const char *text = xent_last_error();

  because("status %d, not %d: \"%s\"", (int)status, (int)wanted, text);
  bool is_named = !strncmp(text, function, length) && !strncmp(text + length, ": ", 2);
  bool has_words = strstr(text + length, words) && (!others || strstr(text + length, others));
  CHECK(status == wanted && is_named && has_words, "%s: %s", call_label(c), what);
  because("status %d, row %lld: \"%s\"", (int)error.status, (long long)error.row, error.message);
  CHECK(error.status == status && (wanted == XENT_ERR_TARGET || error.row == -1) && !strcmp(error.message, text),
        "%s: xent_error: %s", call_label(c), what);
  CHECK(is_nothing_written(c) && errno_kept, "%s: nothing is written: %s", call_label(c), what);
}

/* With the options and outputs as they are in the call. */
__attribute__((unused)) static void check_call_refused(call *c, xent_status wanted, const char *words,
                                                       const char *others, const char *what) {
  xent_options options;
  xent_outputs outputs;
  connect(c, &options, &outputs);
  check_refused(c, &options, &outputs, wanted, words, others, what);
}

#endif
