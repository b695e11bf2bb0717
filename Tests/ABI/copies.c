/* SPDX-License-Identifier: Apache-2.0
 *
 * copies <libxent.so>: two copies of the library in one process, the one this program is linked with and one in a
 * namespace of its own, as when two plug-ins bring a library each. Each has its own threads, setting and last error, and
 * both give the same bits, at once and after a fork.
 */
#define _GNU_SOURCE
#include "check.h"

#include <xent.h>

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 3000, CLASSES = 200 };

typedef struct {
  const char *name;
  __typeof__(xent_cross_entropy_grad_f32) *cross_entropy;
  __typeof__(xent_set_num_threads) *set_num_threads;
  __typeof__(xent_get_num_threads) *get_num_threads;
  __typeof__(xent_last_error) *last_error;
  float loss, *grad;
} copy;

static float logits[ROWS * CLASSES];
static int64_t targets[ROWS];
static copy own = {"the linked one", xent_cross_entropy_grad_f32, xent_set_num_threads, xent_get_num_threads,
                   xent_last_error, 0, NULL};
static copy other = {.name = "the loaded one"};

static bool run(copy *c) {
  return c->cross_entropy(logits, targets, ROWS, CLASSES, NULL, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN, &c->loss,
                          c->grad) == XENT_OK;
}

static void *run_often(void *argument) {
  for (int n = 0; n < 40; n++)
    if (!run(argument)) return "failed";
  return NULL;
}

static bool is_same(void) { return own.loss == other.loss && !memcmp(own.grad, other.grad, sizeof logits); }

int main(int count, char **arguments) {
  alarm(60);
  REQUIRE(count == 2);
  void *handle = dlmopen(LM_ID_NEWLM, arguments[1], RTLD_NOW);
  if (!handle) printf("# %s\n", dlerror());
  REQUIRE(handle);
#define FIND(field, symbol) REQUIRE((other.field = (__typeof__(other.field))dlsym(handle, symbol)))
  FIND(cross_entropy, "xent_cross_entropy_grad_f32");
  FIND(set_num_threads, "xent_set_num_threads");
  FIND(get_num_threads, "xent_get_num_threads");
  FIND(last_error, "xent_last_error");
  REQUIRE(other.cross_entropy != own.cross_entropy);
  REQUIRE((own.grad = malloc(sizeof logits)) && (other.grad = malloc(sizeof logits)));
  for (int k = 0; k < ROWS * CLASSES; k++) logits[k] = (float)(k % 997) / 50;
  for (int k = 0; k < ROWS; k++) targets[k] = k % CLASSES;

  CHECK(own.set_num_threads(3) == XENT_OK && other.set_num_threads(2) == XENT_OK && own.get_num_threads() == 3 &&
            other.get_num_threads() == 2,
        "each has its own number of threads");
  CHECK(run(&own) && run(&other) && is_same(), "both give the same bits");
  CHECK(own.cross_entropy(logits, targets, -1, 3, NULL, 0, 0, &own.loss, own.grad) == XENT_ERR_SIZE &&
            own.last_error()[0] && !other.last_error()[0],
        "each has its own last error");

  pthread_t threads[4];
  copy copies[4] = {own, other, own, other};
  for (int k = 0; k < 4; k++) {
    REQUIRE((copies[k].grad = malloc(sizeof logits)));
    REQUIRE(!pthread_create(&threads[k], NULL, run_often, &copies[k]));
  }
  for (int k = 0; k < 4; k++) {
    void *wrong;
    pthread_join(threads[k], &wrong);
    CHECK(!wrong && copies[k].loss == copies[0].loss && !memcmp(copies[k].grad, copies[0].grad, sizeof logits),
          "caller %d of 4, of %s", k, copies[k].name);
  }
  fflush(stdout);
  pid_t child = fork();
  int status = -1;
  REQUIRE(child >= 0);
  if (!child) _exit(run(&own) && run(&other) && is_same() ? 0 : 1);
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(!status, "both in a child");
  return check_summary();
}
