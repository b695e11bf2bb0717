/* SPDX-License-Identifier: Apache-2.0
 *
 * What a host may do to a library in its process: signals that arrive in the middle of calls, handlers that call too,
 * threads that cannot be had, many threads with hardly any stack while the setting changes, calls from atexit handlers,
 * destructors and thread-specific data, threads that end while calls run. Nothing hangs, and no bit changes. Fork is in
 * fork.c, memory in memory.c, dlclose in loading.c, two copies in copies.c.
 */
#define _GNU_SOURCE
#include "check.h"
#include "operations.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static const parameters large = {900, 300, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN};
static const parameters small = {3, 40, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN};

/* A call and what it has to give. */
typedef struct {
  const operation *op;
  const parameters *p;
  void *arrays[MAX_ARRAYS], *expected[MAX_ARRAYS];
} prepared;

static prepared prepare(const parameters *p) {
  prepared c = {.p = p};
  for (int k = 0; k < operation_count; k++)
    if (!strcmp(operations[k].name, "cross_entropy_grad")) c.op = &operations[k];
  allocate_arrays(c.op, F32, p, c.arrays);
  allocate_arrays(c.op, F32, p, c.expected);
  fill_arrays(c.op, F32, p, c.arrays, 31);
  REQUIRE(c.op->call[F32](c.arrays, p) == XENT_OK);
  for (int k = 0; k < c.op->count; k++) memcpy(c.expected[k], c.arrays[k], array_bytes(&c.op->arrays[k], F32, p));
  return c;
}

static bool is_right(const prepared *c) {
  bool right = c->op->call[F32](c->arrays, c->p) == XENT_OK;
  for (int k = 0; k < c->op->count; k++)
    right &= !memcmp(c->arrays[k], c->expected[k], array_bytes(&c->op->arrays[k], F32, c->p));
  return right;
}

static prepared main_call, handler_call, exit_call;

/* ---- Threads that cannot be had --------------------------------------------------------------------------------- */

static atomic_long threads_left = -1;

/* Stands before the C library's: after so many threads there are no more. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
  static int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
  if (!next) next = (__typeof__(next))dlsym(RTLD_NEXT, "pthread_create");
  if (!threads_left) return EAGAIN;
  if (threads_left > 0) threads_left--;
  return next(thread, attributes, body, argument);
}

static void check_no_threads(void) {
  static const char no_memory[] = "xent_set_num_threads: out of memory for 8 threads";
  for (long n = 0; n < 9; n++) {
    int status;
    fflush(stdout);
    pid_t child = fork(); /* a child has no threads yet */
    REQUIRE(child >= 0);
    if (!child) {
      alarm(20);
      errno = 4711;
      threads_left = n;
      xent_status set = xent_set_num_threads(8);
      if (errno != 4711) _exit(2);
      if (n < 7 && (set != XENT_ERR_NO_MEMORY || strcmp(xent_last_error(), no_memory)))
        _exit(3);
      if (n >= 7 && set != XENT_OK) _exit(4);
      for (int turn = 0; turn < 3; turn++)
        if (!is_right(&main_call)) _exit(5);
      threads_left = -1; /* they can be had again */
      if (xent_set_num_threads(8) != XENT_OK || !is_right(&main_call)) _exit(6);
      _exit(0);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    because("status %#x", (unsigned)status);
    CHECK(!status, "no more than %ld threads", n);
  }
}

/* ---- Signals ---------------------------------------------------------------------------------------------------- */

static atomic_long signals, wrong_in_handler;

static void on_alarm(int number) {
  int before = errno;
  (void)number;
  signals++;
  /* On the stack and in the middle of whatever was interrupted. */
  if (!is_right(&handler_call)) wrong_in_handler++;
  errno = before == EINTR ? 0 : before;
}

static void check_signals(int flags, int32_t threads) {
  struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags}, old;
  struct itimerval timer = {{0, 300}, {0, 300}}, none = {{0, 0}, {0, 0}};
  long wrong = 0, errors = 0;
  signals = wrong_in_handler = 0;
  REQUIRE(xent_set_num_threads(threads) == XENT_OK);
  REQUIRE(!sigaction(SIGALRM, &action, &old) && !setitimer(ITIMER_REAL, &timer, NULL));
  for (int turn = 0; turn < 400 || (signals < 50 && turn < 20000); turn++) {
    errno = 4711;
    wrong += !is_right(&main_call);
    errors += errno != 4711;
  }
  REQUIRE(!setitimer(ITIMER_REAL, &none, NULL) && !sigaction(SIGALRM, &old, NULL));
  because("%ld wrong, %ld times errno, %ld wrong in the handler", wrong, errors, (long)wrong_in_handler);
  CHECK(!wrong && !errors && !wrong_in_handler && signals > 0, "interrupted calls, %d threads%s", (int)threads,
        flags ? ", SA_RESTART" : "");
}

/* ---- Many threads ----------------------------------------------------------------------------------------------- */

enum { CALLERS = 64 };
static atomic_bool done;

static void *caller(void *result) {
  prepared own = main_call;
  allocate_arrays(own.op, F32, own.p, own.arrays);
  for (int k = 0; k < own.op->count; k++)
    memcpy(own.arrays[k], main_call.expected[k], array_bytes(&own.op->arrays[k], F32, own.p));
  for (int round = 0; round < 6; round++)
    if (!is_right(&own)) *(bool *)result = true;
  free_arrays(own.op, own.arrays);
  return NULL;
}

static void *setter(void *unused) {
  for (int32_t n = 0; !done; n = (n + 1) % 9) {
    if (xent_set_num_threads(n) != XENT_OK) return "xent_set_num_threads";
    usleep(500);
  }
  return unused;
}

static void check_callers(void) {
  pthread_t threads[CALLERS], other;
  bool wrong[CALLERS] = {false};
  pthread_attr_t attributes;
  void *problem;
  int bad = 0;
  REQUIRE(!pthread_attr_init(&attributes) && !pthread_attr_setstacksize(&attributes, 64 * 1024));
  REQUIRE(!pthread_create(&other, NULL, setter, NULL));
  for (int k = 0; k < CALLERS; k++) REQUIRE(!pthread_create(&threads[k], &attributes, caller, &wrong[k]));
  for (int k = 0; k < CALLERS; k++) {
    pthread_join(threads[k], NULL);
    bad += wrong[k];
  }
  done = true;
  pthread_join(other, &problem);
  pthread_attr_destroy(&attributes);
  because("%d wrong, %s", bad, problem ? (const char *)problem : "");
  CHECK(!bad && !problem, "%d threads with 64 KiB of stack at once, while the setting changes", CALLERS);
}

/* ---- The end of threads and of the process ---------------------------------------------------------------------- */

static pthread_key_t key;
static atomic_int late_calls, late_wrong;

static void late(void) {
  late_calls++;
  late_wrong += !is_right(&exit_call);
}
static void late_in_thread(void *unused) {
  (void)unused;
  late();
}
static void *end_with_a_call(void *unused) {
  pthread_setspecific(key, &key);
  return unused;
}

static void at_exit(void) {
  pthread_t thread;
  late();
  if (!pthread_create(&thread, NULL, end_with_a_call, NULL)) pthread_join(thread, NULL);
}

static int child_of_exit;
/* Runs after the atexit handlers. */
__attribute__((destructor)) static void in_destructor(void) {
  if (!child_of_exit) return;
  late();
  _exit(late_wrong ? 9 : late_calls == 3 ? 0 : 8);
}

static void *call_for_ever(void *unused) {
  prepared own = main_call;
  allocate_arrays(own.op, F32, own.p, own.arrays);
  for (int k = 0; k < own.op->count; k++)
    memcpy(own.arrays[k], main_call.expected[k], array_bytes(&own.op->arrays[k], F32, own.p));
  while (is_right(&own)) continue;
  return unused;
}

static void check_exit(bool is_busy) {
  int status, rounds = 5;
  for (int n = 0; n < rounds; n++) {
    fflush(stdout);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) {
      pthread_t thread;
      alarm(20);
      child_of_exit = 1;
      if (xent_set_num_threads(3) || pthread_key_create(&key, late_in_thread) || atexit(at_exit)) _exit(7);
      for (int k = 0; is_busy && k < 3; k++)
        if (pthread_create(&thread, NULL, call_for_ever, NULL)) _exit(6);
      if (is_busy) usleep(3000);
      exit(5); /* the destructor says how it went */
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    because("status %#x", (unsigned)status);
    CHECK(!status, "calls from atexit, thread-specific data and a destructor%s, %d",
          is_busy ? ", with calls in other threads" : "", n);
  }
}

int main(void) {
  REQUIRE(xent_set_num_threads(1) == XENT_OK);
  main_call = prepare(&large);
  handler_call = prepare(&small);
  exit_call = prepare(&large);
  check_no_threads();
  for (int32_t threads = 1; threads <= 4; threads += 3) {
    check_signals(0, threads);
    check_signals(SA_RESTART, threads);
  }
  alarm(200); /* a hang fails */
  check_exit(false);
  check_exit(true);
  check_callers();
  return check_summary();
}
