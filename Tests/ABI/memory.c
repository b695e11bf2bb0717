/* SPDX-License-Identifier: Apache-2.0
 *
 * Without memory: only xent_set_num_threads may fail for want of it, and a call that has run once never asks for any.
 * Linked with failing_malloc.c.
 */
#include "check.h"
#include "descriptors.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

void failing_malloc_after(long n);
long failing_malloc_count(void);

enum { CALLS = 48 }; /* operation_count * DTYPES, and main checks that it is */

/* Large enough for threads. */
static const parameters large = {1000, 400, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN};

typedef struct {
  const operation *op;
  dtype type;
  void *arrays[MAX_ARRAYS], *first[MAX_ARRAYS];
} prepared;

static prepared calls[CALLS];

/* NULL when all went well and, but for the first time, gave the same bits; otherwise what did not. Needs no memory. */
static const char *run_all(bool is_first) {
  for (int n = 0; n < CALLS; n++) {
    prepared *c = &calls[n];
    for (int k = 0; k < c->op->count; k++)
      if (c->op->arrays[k].is_output) memset(c->arrays[k], 0xA5, array_bytes(&c->op->arrays[k], c->type, &large));
    if (c->op->call[c->type](c->arrays, &large) != XENT_OK) return xent_last_error();
    for (int k = 0; k < c->op->count; k++) {
      const array_spec *array = &c->op->arrays[k];
      if (!array->is_output) continue;
      if (is_first) memcpy(c->first[k], c->arrays[k], array_bytes(array, c->type, &large));
      else if (!same_values(c->first[k], c->arrays[k], array, c->type, element_count(array, &large)))
        return function_name(c->op, c->type);
    }
  }
  return NULL;
}

static void check_all(bool is_first, const char *when) {
  const char *wrong = run_all(is_first);
  long left_over = failing_malloc_count();
  failing_malloc_after(-1);
  because("%s", wrong ? wrong : "");
  CHECK(!wrong, "all functions %s (%ld requests so far)", when, left_over);
}

static void prepare(void) {
  int n = 0;
  REQUIRE(operation_count * DTYPES == CALLS);
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++, n++) {
      calls[n].op = &operations[k];
      calls[n].type = type;
      allocate_arrays(&operations[k], type, &large, calls[n].arrays);
      allocate_arrays(&operations[k], type, &large, calls[n].first);
      fill_arrays(&operations[k], type, &large, calls[n].arrays, 5);
    }
}

static void check_set_num_threads(void) {
  int32_t before;
  xent_status status;
  bool errno_kept;

  REQUIRE(xent_set_num_threads(1) == XENT_OK);
  before = xent_get_num_threads();
  failing_malloc_after(0);
  errno = 4711;
  status = xent_set_num_threads(8);
  errno_kept = errno == 4711;
  failing_malloc_after(-1);
  because("status %d: %s", (int)status, xent_last_error());
  CHECK(status == XENT_ERR_NO_MEMORY && !strcmp(xent_last_error(), "xent_set_num_threads: out of memory for 8 threads"),
        "xent_set_num_threads without memory");
  CHECK(errno_kept, "errno stays when xent_set_num_threads has no memory");
  CHECK(xent_get_num_threads() == before, "the setting stays when there is no memory");
  check_all(false, "after xent_set_num_threads has failed");

  /* Failing at each request in turn: what it had got by then must not be lost or used. */
  for (long n = 0;; n++) {
    REQUIRE(xent_set_num_threads(1) == XENT_OK);
    failing_malloc_after(n);
    status = xent_set_num_threads(12);
    failing_malloc_after(-1);
    if (status == XENT_OK) break;
    because("status %d: %s, %d threads", (int)status, xent_last_error(), (int)xent_get_num_threads());
    CHECK(status == XENT_ERR_NO_MEMORY && xent_get_num_threads() == 1, "request %ld of xent_set_num_threads fails", n);
    REQUIRE(n < 10000);
  }
  CHECK(xent_get_num_threads() == 12, "xent_set_num_threads with memory");
  check_all(false, "with 12 threads");
}

/* pthread_create fails when there is no address space for stacks. */
static void check_no_room_for_threads(void) {
  struct rlimit old, tight;
  REQUIRE(xent_set_num_threads(1) == XENT_OK);
  REQUIRE(!getrlimit(RLIMIT_AS, &old));
  tight = old;
  FILE *file = fopen("/proc/self/statm", "r");
  unsigned long pages = 0;
  if (!file || fscanf(file, "%lu", &pages) != 1) {
    printf("# no /proc/self/statm: calls without room for threads were not tried\n");
    if (file) fclose(file);
    return;
  }
  fclose(file);
  tight.rlim_cur = (pages + 64) * (rlim_t)sysconf(_SC_PAGESIZE);
  REQUIRE(!setrlimit(RLIMIT_AS, &tight));
  xent_status status = xent_set_num_threads(XENT_MAX_THREADS);
  const char *wrong = run_all(false);
  int32_t threads = xent_get_num_threads();
  setrlimit(RLIMIT_AS, &old);
  because("status %d: %s, %d threads", (int)status, xent_last_error(), (int)threads);
  CHECK(status == XENT_OK ? threads == XENT_MAX_THREADS : status == XENT_ERR_NO_MEMORY && threads == 1,
        "xent_set_num_threads without room for threads");
  because("%s", wrong ? wrong : "");
  CHECK(!wrong, "all functions without room for threads");
  check_all(false, "with room again");
}

/* Descriptor calls ask for no memory either, in any layout, whether they succeed or not. */
static void check_descriptors(void) {
  xent_error error = {.struct_size = sizeof error};
  REQUIRE(xent_set_num_threads(4) == XENT_OK);
  for (form form = 0; form < FORMS; form++)
    for (int v = 0; v < variant_count; v++) {
      if (!(variants[v].forms >> form & 1)) continue;
      call c = make_call(form, (dtype)(v % DTYPES), 12, 90, 150, &variants[v], true, 1);
      for (tensor t = 0; t < TENSORS; t++)
        if (c.has[t]) move_tensor(&c, t, &layouts[v % 11]);
      long before = failing_malloc_count();
      failing_malloc_after(0);
      xent_status status = run_call(&c, &error);
      c.tensors[LOGITS].reserved = 1;
      xent_status refused = run_call(&c, &error);
      long requests = failing_malloc_count() - before;
      failing_malloc_after(-1);
      because("statuses %d, %d: %s; %ld requests", (int)status, (int)refused, xent_last_error(), requests);
      CHECK(status == XENT_OK && refused == XENT_ERR_OPTION && !requests, "%s: without memory", call_label(&c));
      free_call(&c);
    }
}

int main(void) {
  /* The test of the test: this malloc does fail. */
  failing_malloc_after(0);
  void *volatile none = malloc(1);
  failing_malloc_after(1);
  void *volatile one = malloc(1), *volatile two = malloc(1);
  failing_malloc_after(-1);
  CHECK(!none && one && !two, "failing_malloc_after counts");
  free(one);

  prepare();
  failing_malloc_after(0);
  check_all(true, "as the first calls of the process, without memory");
  check_all(false, "with memory again");
  check_set_num_threads();

  long before = failing_malloc_count();
  const char *wrong = run_all(false);
  long after = failing_malloc_count();
  CHECK(!wrong && after == before, "calls that have run once ask for no memory (%ld requests)", after - before);
  check_descriptors();
  check_no_room_for_threads();
  for (int n = 0; n < CALLS; n++) {
    free_arrays(calls[n].op, calls[n].arrays);
    free_arrays(calls[n].op, calls[n].first);
  }
  return check_summary();
}
