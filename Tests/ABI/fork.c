/* SPDX-License-Identifier: Apache-2.0
 *
 * fork [TIMES]: fork() after the library has used threads, and while it does, each so many times (50): the child has none
 * of the parent's threads, and must neither wait for them nor give other bits.
 */
#include "check.h"
#include "operations.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 700, CLASSES = 300 };

/* Large enough for threads. */
static const parameters p = {ROWS, CLASSES, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN};

/* Every function in every dtype; the children take turns. */
static struct prepared {
  const operation *op;
  dtype type;
  void *arrays[MAX_ARRAYS], *expected[MAX_ARRAYS];
} calls[64];
static int call_count;
static atomic_bool busy_done;
static atomic_long busy_calls;
static int forks = 50;

static void prepare(void) {
  for (int n = 0; n < operation_count; n++)
    for (dtype type = F32; type < DTYPES; type++) {
      REQUIRE(call_count < (int)(sizeof calls / sizeof *calls));
      struct prepared *c = &calls[call_count++];
      c->op = &operations[n];
      c->type = type;
      allocate_arrays(c->op, type, &p, c->arrays);
      allocate_arrays(c->op, type, &p, c->expected);
      fill_arrays(c->op, type, &p, c->arrays, 29);
      REQUIRE(c->op->call[type](c->arrays, &p) == XENT_OK);
      for (int k = 0; k < c->op->count; k++)
        memcpy(c->expected[k], c->arrays[k], array_bytes(&c->op->arrays[k], type, &p));
    }
}

static bool is_right_in(const struct prepared *c, void *const *arrays) {
  bool right = c->op->call[c->type](arrays, &p) == XENT_OK;
  for (int k = 0; k < c->op->count; k++)
    if (c->op->arrays[k].is_output)
      right &= same_values(arrays[k], c->expected[k], &c->op->arrays[k], c->type, element_count(&c->op->arrays[k], &p));
  return right;
}

static bool is_right(int turn) { return is_right_in(&calls[turn % call_count], calls[turn % call_count].arrays); }

/* In the child: with the threads it was left with, with a new number of them, in a grandchild, and errors. */
static void be_child(int turn) {
  float lse;
  alarm(20);
  if (!is_right(turn)) _exit(10);
  if (turn % 2 && xent_set_num_threads(2 + turn % 5) != XENT_OK) _exit(11);
  if (!is_right(turn) || !is_right(turn + 1)) _exit(12);
  if (xent_logsumexp_f32(NULL, 1, 3, &lse) != XENT_ERR_NULL) _exit(13);
  if (strcmp(xent_last_error(), "xent_logsumexp_f32: logits is NULL")) _exit(14);
  if (turn % 10 == 0) {
    int status;
    pid_t child = fork();
    if (child < 0) _exit(15);
    if (!child) {
      alarm(10);
      _exit(is_right(turn) ? 0 : 16);
    }
    if (waitpid(child, &status, 0) != child || status) _exit(17);
  }
  _exit(0);
}

static void check_forks(const char *when) {
  for (int turn = 0; turn < forks; turn++) {
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) be_child(turn);
    REQUIRE(waitpid(child, &status, 0) == child);
    because("%s %d", WIFSIGNALED(status) ? WTERMSIG(status) == SIGALRM ? "hung, signal" : "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    CHECK(!status, "child %d, forked %s", turn, when);
    if (turn % 10 == 0) CHECK(is_right(turn), "the parent after child %d, forked %s", turn, when);
  }
}

static const struct prepared *busy;

/* Keeps the library's threads, and its locks, in use while others fork. */
static void *keep_busy(void *arrays) {
  while (!busy_done) {
    if (!is_right_in(busy, arrays)) return "a wrong result";
    busy_calls++;
  }
  return NULL;
}

int main(int count, char **arguments) {
  void *wrong[2], *arrays[2][MAX_ARRAYS];
  pthread_t threads[2];
  if (count > 1) forks = atoi(arguments[1]);
  REQUIRE(forks > 0);
  alarm(300 + (unsigned)forks);
  REQUIRE(xent_set_num_threads(1) == XENT_OK);
  prepare();
  for (int n = 0; n < call_count; n++)
    if (!strcmp(calls[n].op->name, "cross_entropy_grad") && calls[n].type == F32) busy = &calls[n];
  REQUIRE(busy);

  check_forks("before threads");
  REQUIRE(xent_set_num_threads(4) == XENT_OK);
  CHECK(is_right(0), "the parent with threads");
  check_forks("after threads were used");

  for (int t = 0; t < 2; t++) {
    allocate_arrays(busy->op, F32, &p, arrays[t]);
    for (int k = 0; k < busy->op->count; k++)
      memcpy(arrays[t][k], busy->arrays[k], array_bytes(&busy->op->arrays[k], F32, &p));
    REQUIRE(!pthread_create(&threads[t], NULL, keep_busy, arrays[t]));
  }
  check_forks("while other threads call");
  busy_done = true;
  for (int t = 0; t < 2; t++) {
    pthread_join(threads[t], &wrong[t]);
    CHECK(!wrong[t], "caller %d while the process forks", t);
    free_arrays(busy->op, arrays[t]);
  }
  CHECK(busy_calls > forks / 5, "there was something to fork from (%ld calls)", (long)busy_calls);
  for (int n = 0; n < call_count; n++) {
    free_arrays(calls[n].op, calls[n].arrays);
    free_arrays(calls[n].op, calls[n].expected);
  }
  return check_summary();
}
