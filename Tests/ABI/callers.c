/* SPDX-License-Identifier: Apache-2.0
 *
 * callers [SECONDS [SEED]]: the soak. Threads that call everything at random, plain and descriptor, wrong and right, with
 * the setting changing, children forked in between that do the same, signals, and memory that is not to be had; every
 * answer is compared with that of one thread. For a second in `make test`, for as long as you like by `make soak`. Few and
 * small calls (SECONDS 0) are for helgrind and ThreadSanitizer. Reports what it has done, and how the memory has grown.
 */
#include "check.h"
#include "descriptors.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLERS = 6, POOL = 48 };

static struct {
  atomic_long calls, rows, refused, forks, settings, signals, small_stacks, environments, wrong;
} counts;
static double seconds = 1;
static uint64_t first_seed = 1;
static double began;
static char what_was_wrong[256];

static void wrong(const char *what) {
  if (!counts.wrong++) snprintf(what_was_wrong, sizeof what_was_wrong, "%s", what ? what : "?");
}

/* ---- Calls with their answers ----------------------------------------------------------------------------------- */

/* Inputs are shared; each caller has outputs of its own. */
static struct {
  call descriptor;
  const operation *op; /* NULL: the descriptor */
  dtype type;
  parameters p;
  void *arrays[MAX_ARRAYS];
} answers[POOL];

static void prepare(uint64_t *seed) {
  static const int64_t shapes[][3] = {{1, 5, 1}, {7, 33, 1}, {40, 100, 1}, {3, 17, 9}, {900, 250, 1}, {1, 70001, 1}};
  for (int n = 0; n < POOL; n++) {
    const int64_t *shape = shapes[n % 12 == 11 ? 5 : n % 6 == 5 ? 4 : random_bits(seed) % 4];
    answers[n].type = (dtype)(random_bits(seed) % DTYPES);
    if (n % 2) {
      answers[n].op = &operations[random_bits(seed) % (uint64_t)operation_count];
      answers[n].p = (parameters){shape[0] * shape[2], shape[1], XENT_IGNORE_INDEX, (int32_t)(random_bits(seed) % 4)};
      allocate_arrays(answers[n].op, answers[n].type, &answers[n].p, answers[n].arrays);
      fill_arrays(answers[n].op, answers[n].type, &answers[n].p, answers[n].arrays, random_bits(seed));
      REQUIRE(answers[n].op->call[answers[n].type](answers[n].arrays, &answers[n].p) == XENT_OK);
    } else {
      form form;
      const variant *v;
      do {
        form = (int)(random_bits(seed) % FORMS);
        v = &variants[random_bits(seed) % (uint64_t)variant_count];
      } while (!(v->forms >> form & 1));
      answers[n].descriptor = make_call(form, answers[n].type, shape[0], shape[1], shape[2], v, n % 4, random_bits(seed));
      for (tensor t = 0; t < TENSORS; t++)
        if (answers[n].descriptor.has[t]) move_tensor(&answers[n].descriptor, t, &layouts[random_bits(seed) % 11]);
      REQUIRE(run_call(&answers[n].descriptor, NULL) == XENT_OK);
    }
  }
}

/* One of the calls, with outputs of this thread's own. NULL: the right answer. */
static const char *ask(int n, uint64_t *seed) {
  counts.calls++;
  if (answers[n].op) {
    const operation *op = answers[n].op;
    void *arrays[MAX_ARRAYS];
    const char *different = NULL;
    bool fails = random_bits(seed) % 5 == 0;
    for (int k = 0; k < op->count; k++)
      arrays[k] = op->arrays[k].is_output ? malloc(array_bytes(&op->arrays[k], answers[n].type, &answers[n].p) + 1)
                                          : answers[n].arrays[k];
    parameters p = answers[n].p;
    if (fails) p.rows = -1 - (int64_t)(random_bits(seed) >> 2);
    xent_status status = op->call[answers[n].type](arrays, &p);
    if (status != (fails ? XENT_ERR_SIZE : XENT_OK)) different = "a plain function's status";
    for (int k = 0; k < op->count; k++) {
      if (!op->arrays[k].is_output) continue;
      if (!fails && !same_values(arrays[k], answers[n].arrays[k], &op->arrays[k], answers[n].type,
                                 element_count(&op->arrays[k], &answers[n].p)))
        different = op->name;
      free(arrays[k]);
    }
    if (fails) counts.refused++;
    else counts.rows += answers[n].p.rows;
    return different;
  }
  const call *expected = &answers[n].descriptor;
  call c = *expected;
  const char *different = NULL;
  bool fails = random_bits(seed) % 5 == 0;
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++) {
    if (!c.has[t]) continue;
    c.blocks[t] = malloc(c.block_bytes[t]);
    c.tensors[t].data = (char *)c.blocks[t] + ((char *)expected->tensors[t].data - (char *)expected->blocks[t]);
  }
  c.options.num_threads = (int32_t)(random_bits(seed) % 5);
  if (fails) c.tensors[LOGITS].reserved = 1;
  xent_error error = {.struct_size = sizeof error};
  xent_status status = run_call(&c, &error);
  if (status != (fails ? XENT_ERR_OPTION : XENT_OK) || error.status != status) different = "a descriptor call's status";
  else if (fails && strcmp(error.message, xent_last_error())) different = "xent_last_error";
  else if (!fails) different = different_output(&c, expected);
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
    if (c.has[t]) free(c.blocks[t]);
  if (fails) counts.refused++;
  else counts.rows += c.outer * c.inner;
  return different;
}

/* ---- Everything at random --------------------------------------------------------------------------------------- */

/* In seconds, and parts of one: whole ones may be over at once. */
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool is_over(int round) { return seconds == 0 ? round >= 12 : now() - began >= seconds; }

static void ask_and_compare(uint64_t *seed) {
  const char *different = ask((int)(random_bits(seed) % POOL), seed);
  if (different) wrong(different);
}

static void *on_small_stack(void *seed) {
  ask_and_compare(seed);
  return NULL;
}

static void *caller(void *number) {
  uint64_t seed = first_seed * 1000 + (uint64_t)(intptr_t)number;
  for (int round = 0; !is_over(round); round++) {
    uint64_t what = random_bits(&seed) % 64;
    if (what < 2) {
      if (xent_set_num_threads((int32_t)(random_bits(&seed) % 7)) != XENT_OK) wrong("xent_set_num_threads");
      counts.settings++;
    } else if (what < 4 && seconds != 0) {
      pthread_attr_t attributes;
      pthread_t thread;
      uint64_t own = random_bits(&seed);
      pthread_attr_init(&attributes);
      pthread_attr_setstacksize(&attributes, 64 * 1024);
      if (!pthread_create(&thread, &attributes, on_small_stack, &own)) pthread_join(thread, NULL);
      pthread_attr_destroy(&attributes);
      counts.small_stacks++;
    } else if (what < 8) {
      static const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
      int mode = modes[random_bits(&seed) % 4];
      fesetround(mode);
      const char *different = ask((int)(random_bits(&seed) % POOL), &seed);
      if (fegetround() != mode) different = "the rounding mode";
      fesetround(FE_TONEAREST);
      if (different) wrong(different);
      counts.environments++;
    } else {
      errno = 4711;
      ask_and_compare(&seed);
    }
  }
  return NULL;
}

static void on_signal(int number) {
  (void)number;
  counts.signals++;
}

/* A child of a busy parent, which asks a few questions itself. */
static void fork_once(uint64_t *seed) {
  int status = 0;
  pid_t child = fork();
  if (child < 0) return;
  if (!child) {
    alarm(60);
    counts.wrong = 0;
    for (int n = 0; n < 5; n++) ask_and_compare(seed);
    _exit(counts.wrong ? 1 : 0);
  }
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  random_bits(seed);
  counts.forks++;
  if (status) wrong("in a child");
}

static long resident_pages(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file && fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
  if (file) fclose(file);
  return resident;
}

int main(int count, char **arguments) {
  pthread_t threads[CALLERS];
  struct itimerval timer = {{0, 2000}, {0, 2000}}, none = {{0, 0}, {0, 0}};
  struct sigaction action = {.sa_handler = on_signal};
  if (count > 1) seconds = atof(arguments[1]);
  if (count > 2) first_seed = strtoull(arguments[2], NULL, 10);
  uint64_t seed = first_seed;
  REQUIRE(xent_set_num_threads(1) == XENT_OK);
  prepare(&seed);
  began = now();
  for (intptr_t k = 0; k < CALLERS; k++) REQUIRE(!pthread_create(&threads[k], NULL, caller, (void *)k));
  if (seconds > 0) REQUIRE(!sigaction(SIGALRM, &action, NULL) && !setitimer(ITIMER_REAL, &timer, NULL));
  long early = 0;
  for (int round = 0; seconds > 0 && !is_over(round); round++) {
    fork_once(&seed);
    if (!early && now() - began > seconds / 4) early = resident_pages();
  }
  for (int k = 0; k < CALLERS; k++) pthread_join(threads[k], NULL);
  setitimer(ITIMER_REAL, &none, NULL);
  long late = resident_pages(), page = sysconf(_SC_PAGESIZE);
  printf("# seed %llu: %ld calls, %ld rows, %ld refused, %ld forks, %ld changes of the setting, %ld signals, "
         "%ld small stacks, %ld rounding modes; memory %+ld KB after the first quarter\n",
         (unsigned long long)first_seed, (long)counts.calls, (long)counts.rows, (long)counts.refused, (long)counts.forks,
         (long)counts.settings, (long)counts.signals, (long)counts.small_stacks, (long)counts.environments,
         early ? (late - early) * page / 1024 : 0L);
  because("%ld, the first: %s", (long)counts.wrong, what_was_wrong);
  CHECK(!counts.wrong && counts.calls > CALLERS, "no wrong answer");
  because("%ld pages more", late - early);
  CHECK(!early || late - early < 4096, "memory does not grow");
  for (int n = 0; n < POOL; n++) {
    if (answers[n].op) free_arrays(answers[n].op, answers[n].arrays);
    else free_call(&answers[n].descriptor);
  }
  return check_summary();
}
