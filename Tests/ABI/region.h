/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory between two pages without access: a byte before or behind it is a fault, which says what was running.
 */
#ifndef REGION_H
#define REGION_H

#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
  char *start;
  size_t size;
} region;

static char running[400]; /* what to say should it fault */

/* Writes a number below 100 over the two digits at `to`, which is somewhere in `running`: much faster than to print it. */
__attribute__((unused)) static void note(char *to, size_t number) {
  to[0] = (char)('0' + number / 10 % 10);
  to[1] = (char)('0' + number % 10);
}

static void on_fault(int number) {
  static const char before[] = "\nnot ok - ", after[] = ": memory outside an array was touched\n";
  if (write(1, before, sizeof before - 1) < 0 || write(1, running, strlen(running)) < 0 ||
      write(1, after, sizeof after - 1) < 0)
    _exit(4);
  _exit(number == SIGBUS ? 5 : 6);
}

static void watch_faults(void) {
  struct sigaction action = {.sa_handler = on_fault};
  REQUIRE(!sigaction(SIGSEGV, &action, NULL) && !sigaction(SIGBUS, &action, NULL));
  setvbuf(stdout, NULL, _IOLBF, 0);
}

static size_t page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static region make_region(size_t bytes) {
  size_t page = page_size(), size = (bytes + page - 1) / page * page;
  char *all = mmap(NULL, size + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(all != MAP_FAILED);
  REQUIRE(!mprotect(all, page, PROT_NONE) && !mprotect(all + page + size, page, PROT_NONE));
  return (region){all + page, size};
}

__attribute__((unused)) static void free_region(region r) { munmap(r.start - page_size(), r.size + 2 * page_size()); }

#endif
