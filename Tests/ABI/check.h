/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole test framework. A test program calls CHECK as often as it likes, from one thread, and ends with
 * `return check_summary();`. Tests/run reads the last line, "N passed, M failed"; without it the program has crashed.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long check_passed, check_failed;
static char check_detail[1024];

/* Says what the next check saw; printed only when that check fails. */
__attribute__((format(printf, 1, 2), unused)) static void because(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(check_detail, sizeof check_detail, format, list);
  va_end(list);
}

__attribute__((format(printf, 4, 5))) static bool check_record(bool passed, const char *condition, int line,
                                                               const char *name, ...) {
  va_list list;
  fputs(passed ? "ok - " : "not ok - ", stdout);
  va_start(list, name);
  vprintf(name, list);
  va_end(list);
  if (passed) check_passed++;
  else {
    check_failed++;
    printf(": %s [line %d]", check_detail[0] ? check_detail : condition, line);
  }
  putchar('\n');
  /* A crash must not take the lines before it along. */
  if (!passed) fflush(stdout);
  check_detail[0] = 0;
  return passed;
}

/* CHECK(condition, name, ...): the name is a printf format. Gives the condition back. */
#define CHECK(condition, ...) check_record((condition), #condition, __LINE__, __VA_ARGS__)

static int check_summary(void) {
  printf("%ld passed, %ld failed\n", check_passed, check_failed);
  /* A program that checked nothing has not passed. */
  return check_failed || !check_passed;
}

/* For what a test needs and cannot do without: memory, threads, files. */
#define REQUIRE(condition)                                                        \
  do {                                                                            \
    if (!(condition)) {                                                           \
      printf("not ok - %s:%d: %s could not be had\n", __FILE__, __LINE__, #condition); \
      exit(3);                                                                    \
    }                                                                             \
  } while (0)

#endif
