/* SPDX-License-Identifier: Apache-2.0
 *
 * fork() after the library has used threads, and while it does: the child has none of the parent's threads, and must
 * neither wait for them nor give other bits.
 */
#include "check.h"
#include "operations.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 50, ROWS = 2000, CLASSES = 300 };

static const parameters p = {ROWS, CLASSES, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN};
static const operation *op;
static void *arrays[MAX_ARRAYS], *expected[MAX_ARRAYS];
static atomic_bool busy_done;
static atomic_long busy_calls;

static bool is_right(void *const *a) {
  bool right = op->call[F32](a, &p) == XENT_OK;
  for (int k = 0; k < op->count; k++)
    if (op->arrays[k].is_output)
      right &= same_values(a[k], expected[k], &op->arrays[k], F32, element_count(&op->arrays[k], &p));
  return right;
}

/* In the child: with the threads it was left with, with a new number of them, in a grandchild, and errors. */
static void be_child(int turn) {
  float lse;
  alarm(20);
  if (!is_right(arrays)) _exit(10);
  if (turn % 2 && xent_set_num_threads(2 + turn % 5) != XENT_OK) _exit(11);
  if (!is_right(arrays) || !is_right(arrays)) _exit(12);
  if (xent_logsumexp_f32(NULL, 1, 3, &lse) != XENT_ERR_NULL) _exit(13);
  if (strcmp(xent_last_error(), "xent_logsumexp_f32: logits is NULL")) _exit(14);
  if (turn % 10 == 0) {
    int status;
    pid_t child = fork();
    if (child < 0) _exit(15);
    if (!child) {
      alarm(10);
      _exit(is_right(arrays) ? 0 : 16);
    }
    if (waitpid(child, &status, 0) != child || status) _exit(17);
  }
  _exit(0);
}

static void check_forks(const char *when) {
  for (int turn = 0; turn < FORKS; turn++) {
    int status = -1;
    fflush(stdout);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (!child) be_child(turn);
    REQUIRE(waitpid(child, &status, 0) == child);
    because("%s %d", WIFSIGNALED(status) ? WTERMSIG(status) == SIGALRM ? "hung, signal" : "signal" : "exit status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    CHECK(!status, "child %d, forked %s", turn, when);
    if (turn % 10 == 0) CHECK(is_right(arrays), "the parent after child %d, forked %s", turn, when);
  }
}

/* Keeps the library's threads, and its locks, in use while others fork. */
static void *keep_busy(void *outputs) {
  while (!busy_done) {
    if (!is_right(outputs)) return "a wrong result";
    busy_calls++;
  }
  return NULL;
}

int main(void) {
  void *wrong[2], *outputs[2][MAX_ARRAYS];
  pthread_t threads[2];
  alarm(300);
  for (int k = 0; k < operation_count; k++)
    if (!strcmp(operations[k].name, "cross_entropy_grad")) op = &operations[k];
  REQUIRE(op);
  allocate_arrays(op, F32, &p, arrays);
  allocate_arrays(op, F32, &p, expected);
  fill_arrays(op, F32, &p, arrays, 29);
  REQUIRE(xent_set_num_threads(1) == XENT_OK && op->call[F32](arrays, &p) == XENT_OK);
  for (int k = 0; k < op->count; k++) memcpy(expected[k], arrays[k], array_bytes(&op->arrays[k], F32, &p));

  check_forks("before threads");
  REQUIRE(xent_set_num_threads(4) == XENT_OK);
  CHECK(is_right(arrays), "the parent with threads");
  check_forks("after threads were used");

  for (int t = 0; t < 2; t++) {
    allocate_arrays(op, F32, &p, outputs[t]);
    for (int k = 0; k < op->count; k++) memcpy(outputs[t][k], arrays[k], array_bytes(&op->arrays[k], F32, &p));
    REQUIRE(!pthread_create(&threads[t], NULL, keep_busy, outputs[t]));
  }
  check_forks("while other threads call");
  busy_done = true;
  for (int t = 0; t < 2; t++) {
    pthread_join(threads[t], &wrong[t]);
    CHECK(!wrong[t], "caller %d while the process forks", t);
    free_arrays(op, outputs[t]);
  }
  CHECK(busy_calls > FORKS / 5, "there was something to fork from (%ld calls)", (long)busy_calls);
  free_arrays(op, arrays);
  free_arrays(op, expected);
  return check_summary();
}
