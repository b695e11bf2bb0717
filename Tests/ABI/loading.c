/* SPDX-License-Identifier: Apache-2.0
 *
 * loading <libxent.so> [TIMES]: the library brought in by dlopen, as Python and every plug-in host do, into a process whose
 * threads are already running. Thread-local storage is then a matter of its own: where the C library has to allocate it
 * late and cannot, it ends the process. Linked with failing_malloc.c, and with no libxent.
 */
#include "check.h"

#include <xent.h>

#include <dlfcn.h>
#include <pthread.h>

void failing_malloc_after(long n);

static pthread_barrier_t loaded;
static __typeof__(xent_version) *version;
static __typeof__(xent_last_error) *last_error;
static __typeof__(xent_set_num_threads) *set_num_threads;
static __typeof__(xent_get_num_threads) *get_num_threads;
static __typeof__(xent_cross_entropy_f32) *cross_entropy;

static const int64_t targets[3] = {2, 2, 0};
static const float logits[9] = {1, 2, 7, 4, 7, 9, 8, 3, 4};

static bool is_loss_right(void) {
  float loss = 0;
  xent_status status = cross_entropy(logits, targets, 3, 3, NULL, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN, &loss);
  return status == XENT_OK && loss > 0.0555f && loss < 0.0557f;
}

static bool is_error_right(void) {
  float loss = 0;
  return cross_entropy(logits, targets, 3, 2, NULL, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN, &loss) == XENT_ERR_TARGET &&
         !strcmp(last_error(), "xent_cross_entropy_f32: targets[0] is 2, not in [0, 2) and not ignore_index (-100)");
}

/* Runs before the library is there, and calls it when there is no memory. */
static void *early_thread(void *result) {
  bool *right = result;
  pthread_barrier_wait(&loaded); /* loaded, and memory gone */
  pthread_barrier_wait(&loaded);
  right[0] = !strcmp(last_error(), "");
  right[1] = is_error_right();
  right[2] = is_loss_right();
  pthread_barrier_wait(&loaded);
  return NULL;
}

static void *load(const char *path) {
  void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) printf("# %s\n", dlerror());
  REQUIRE(handle);
  REQUIRE((version = (__typeof__(version))dlsym(handle, "xent_version")));
  REQUIRE((last_error = (__typeof__(last_error))dlsym(handle, "xent_last_error")));
  REQUIRE((set_num_threads = (__typeof__(set_num_threads))dlsym(handle, "xent_set_num_threads")));
  REQUIRE((get_num_threads = (__typeof__(get_num_threads))dlsym(handle, "xent_get_num_threads")));
  REQUIRE((cross_entropy = (__typeof__(cross_entropy))dlsym(handle, "xent_cross_entropy_f32")));
  return handle;
}

/* Enough work that the library uses its threads; on return they may still be at it or asleep. */
static bool use_threads(void) {
  enum { ROWS = 4000, CLASSES = 300 };
  static float many[ROWS * CLASSES], loss[ROWS];
  static int64_t zeros[ROWS];
  if (set_num_threads(4) != XENT_OK || get_num_threads() != 4) return false;
  return cross_entropy(many, zeros, ROWS, CLASSES, NULL, XENT_IGNORE_INDEX, XENT_REDUCTION_NONE, loss) == XENT_OK &&
         loss[0] == loss[ROWS - 1] && loss[0] > 5.7037f && loss[0] < 5.7039f; /* log 300 */
}

int main(int count, char **arguments) {
  bool right[3] = {false, false, false};
  pthread_t thread;
  int rounds = count > 2 ? atoi(arguments[2]) : 20;
  REQUIRE(count >= 2 && rounds > 0);
  REQUIRE(!pthread_barrier_init(&loaded, NULL, 2));
  REQUIRE(!pthread_create(&thread, NULL, early_thread, right));

  void *handle = load(arguments[1]);
  CHECK(version() == XENT_VERSION, "the library is of the header's version");
  pthread_barrier_wait(&loaded);
  failing_malloc_after(0);
  pthread_barrier_wait(&loaded);
  pthread_barrier_wait(&loaded);
  failing_malloc_after(-1);
  pthread_join(thread, NULL);
  CHECK(right[0], "a thread older than the library has no last error, and no memory is needed to say so");
  CHECK(right[1], "without memory a thread older than the library gets its error text");
  CHECK(right[2], "without memory a thread older than the library gets its loss");

  CHECK(is_loss_right() && is_error_right(), "the thread that loaded it");
  for (int round = 0; round < rounds; round++) {
    CHECK(use_threads(), "threads in use, round %d", round);
    REQUIRE(!dlclose(handle)); /* workers may be running the library's code */
    handle = load(arguments[1]);
    CHECK(is_loss_right(), "loaded again, round %d", round);
  }
  return check_summary();
}
