/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads: the setting and XENT_NUM_THREADS, the same bits for every number of threads, many callers at once, a caller
 * with hardly any stack. threads --get prints the setting of a fresh process. fork is in fork.c.
 */
#define _GNU_SOURCE
#include "check.h"
#include "operations.h"
#include "stack.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *program;

/* ---- The setting ------------------------------------------------------------------------------------------------ */

static int processors(void) {
  cpu_set_t set;
  REQUIRE(!sched_getaffinity(0, sizeof set, &set));
  return CPU_COUNT(&set);
}

/* What a process with this XENT_NUM_THREADS (NULL: unset), on one processor if so wanted, starts with. */
static int initial_setting(const char *value, bool on_one_processor) {
  int ends[2], status, setting = -1;
  REQUIRE(!pipe(ends));
  fflush(stdout);
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (!child) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (on_one_processor && sched_setaffinity(0, sizeof one, &one)) _exit(3);
    if (value ? setenv("XENT_NUM_THREADS", value, 1) : unsetenv("XENT_NUM_THREADS")) _exit(3);
    if (dup2(ends[1], 1) < 0) _exit(3);
    execl("/proc/self/exe", program, "--get", (char *)NULL);
    _exit(3);
  }
  close(ends[1]);
  FILE *answer = fdopen(ends[0], "r");
  REQUIRE(answer);
  if (fscanf(answer, "%d", &setting) != 1) setting = -1;
  fclose(answer);
  REQUIRE(waitpid(child, &status, 0) == child && !status);
  return setting;
}

static void check_environment(void) {
  static const struct {
    const char *value;
    int wanted; /* 0: as many as there are processors */
  } cases[] = {{NULL, 0},       {"1", 1},       {"3", 3},      {"16", 16}, {"1024", 1024}, {"", 0},
               {"0", 0},        {"1025", 0},    {"-1", 0},     {"-3", 0},  {"two", 0},     {"3 threads", 0},
               {"3x", 0},       {"0x3", 0},     {"3.0", 0},    {"1e1", 0}, {"4294967297", 0},
               {"99999999999999999999", 0}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    int got = initial_setting(cases[k].value, false), wanted = cases[k].wanted ? cases[k].wanted : processors();
    because("got %d, not %d", got, wanted);
    CHECK(got == wanted, "XENT_NUM_THREADS %s", cases[k].value ? cases[k].value : "unset");
  }
  CHECK(initial_setting(NULL, true) == 1, "one thread for a process on one processor");
  CHECK(initial_setting("3", true) == 3, "XENT_NUM_THREADS counts also on one processor");
}

static void check_setting(void) {
  static const int32_t wrong[] = {-1, XENT_MAX_THREADS + 1, INT32_MIN, INT32_MAX};
  static const int32_t right[] = {1, 2, 3, 7, 64, 5, 1};
  int32_t automatic = xent_get_num_threads();
  for (size_t k = 0; k < sizeof right / sizeof *right; k++) {
    because("%s", xent_last_error());
    CHECK(xent_set_num_threads(right[k]) == XENT_OK && xent_get_num_threads() == right[k], "set to %d", (int)right[k]);
  }
  REQUIRE(xent_set_num_threads(3) == XENT_OK);
  for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
    char text[128];
    snprintf(text, sizeof text, "xent_set_num_threads: num_threads is %d, not in [0, 1024]", (int)wrong[k]);
    xent_status status = xent_set_num_threads(wrong[k]);
    because("status %d: %s", (int)status, xent_last_error());
    CHECK(status == XENT_ERR_OPTION && !strcmp(xent_last_error(), text), "%s", text);
    CHECK(xent_get_num_threads() == 3, "the setting stays after %d", (int)wrong[k]);
  }
  CHECK(xent_set_num_threads(0) == XENT_OK && xent_get_num_threads() == automatic, "0 is automatic again");
}

/* ---- The same bits ---------------------------------------------------------------------------------------------- */

static void check_bits(const operation *op, dtype type, int64_t rows, int64_t classes, int32_t reduction) {
  static const int32_t threads[] = {2, 3, 4, 7, 16};
  parameters p = {rows, classes, XENT_IGNORE_INDEX, reduction};
  void *arrays[MAX_ARRAYS], *expected[MAX_ARRAYS];
  allocate_arrays(op, type, &p, arrays);
  allocate_arrays(op, type, &p, expected);
  fill_arrays(op, type, &p, arrays, (uint64_t)(rows + classes));
  REQUIRE(xent_set_num_threads(1) == XENT_OK && op->call[type](arrays, &p) == XENT_OK);
  for (int k = 0; k < op->count; k++) memcpy(expected[k], arrays[k], array_bytes(&op->arrays[k], type, &p));
  for (size_t t = 0; t < sizeof threads / sizeof *threads; t++) {
    REQUIRE(xent_set_num_threads(threads[t]) == XENT_OK);
    for (int k = 0; k < op->count; k++)
      if (op->arrays[k].is_output) memset(arrays[k], 0xA5, array_bytes(&op->arrays[k], type, &p));
    bool same = op->call[type](arrays, &p) == XENT_OK;
    for (int k = 0; k < op->count; k++)
      same &= same_values(arrays[k], expected[k], &op->arrays[k], type, element_count(&op->arrays[k], &p));
    CHECK(same, "%s %lld x %lld, reduction %d: %d threads give the bits of 1", function_name(op, type),
          (long long)rows, (long long)classes, (int)reduction, (int)threads[t]);
  }
  free_arrays(op, arrays);
  free_arrays(op, expected);
}

/* ---- Many callers ----------------------------------------------------------------------------------------------- */

enum { CALLERS = 8, ROUNDS = 6 };
static const parameters shared_shape = {1500, 300, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN};

typedef struct {
  void *arrays[MAX_ARRAYS]; /* the inputs are shared by the callers; the outputs are what is expected */
} reference;

static reference references[16][DTYPES];
static atomic_bool callers_done;

/* Every function on the shared inputs. NULL when all is right, otherwise the function that is not. */
static const char *call_everything(void) {
  for (int n = 0; n < operation_count; n++)
    for (dtype type = F32; type < DTYPES; type++) {
      const operation *op = &operations[n];
      void *arrays[MAX_ARRAYS];
      bool right = true;
      for (int k = 0; k < op->count; k++) {
        size_t bytes = array_bytes(&op->arrays[k], type, &shared_shape);
        arrays[k] = op->arrays[k].is_output ? malloc(bytes) : references[n][type].arrays[k];
      }
      right &= op->call[type](arrays, &shared_shape) == XENT_OK;
      for (int k = 0; k < op->count; k++) {
        if (!op->arrays[k].is_output) continue;
        right &= same_values(arrays[k], references[n][type].arrays[k], &op->arrays[k], type,
                             element_count(&op->arrays[k], &shared_shape));
        free(arrays[k]);
      }
      if (!right) return op->name;
    }
  return NULL;
}

static void *caller(void *number) {
  char text[160];
  int64_t target = 1000 + (int64_t)(intptr_t)number;
  const float x[3] = {1, 2, 7};
  float loss;
  snprintf(text, sizeof text, "xent_nll_f32: targets[0] is %lld, not in [0, 3) and not ignore_index (-100)",
           (long long)target);
  for (int round = 0; round < ROUNDS; round++) {
    if (xent_nll_f32(x, &target, 1, 3, NULL, -100, 0, &loss) != XENT_ERR_TARGET) return "the error";
    const char *wrong = call_everything();
    if (wrong) return (void *)wrong;
    if (strcmp(xent_last_error(), text)) return "xent_last_error of another thread";
  }
  return NULL;
}

static void *setter(void *unused) {
  for (int32_t n = 0; !callers_done; n = (n + 1) % 6) {
    if (xent_set_num_threads(n) != XENT_OK || xent_get_num_threads() < 1) return "xent_set_num_threads";
    usleep(300);
  }
  return unused;
}

static void check_callers(bool with_setter) {
  pthread_t threads[CALLERS], other;
  void *wrong;
  callers_done = false;
  if (with_setter) REQUIRE(!pthread_create(&other, NULL, setter, NULL));
  for (intptr_t k = 0; k < CALLERS; k++) REQUIRE(!pthread_create(&threads[k], NULL, caller, (void *)k));
  for (int k = 0; k < CALLERS; k++) {
    pthread_join(threads[k], &wrong);
    because("%s went wrong", wrong ? (const char *)wrong : "");
    CHECK(!wrong, "caller %d of %d at once%s", k, CALLERS, with_setter ? ", while the setting changes" : "");
  }
  callers_done = true;
  if (!with_setter) return;
  pthread_join(other, &wrong);
  CHECK(!wrong, "xent_set_num_threads while others call");
}

/* ---- A caller with hardly any stack ----------------------------------------------------------------------------- */

static void *everything_and_errors(void *unused) {
  (void)unused;
  for (int32_t threads = 1; threads <= 4; threads += 3) {
    if (xent_set_num_threads(threads) != XENT_OK) return "xent_set_num_threads";
    const char *wrong = call_everything();
    if (wrong) return (void *)wrong;
  }
  return caller((void *)1);
}

static void check_small_stack(void) {
  void *wrong;
  size_t depth = stack_depth(everything_and_errors, NULL, &wrong);
  because("%zu bytes; %s", depth, wrong ? (const char *)wrong : "");
  CHECK(!wrong && depth <= MOST_STACK, "a caller with a stack of 64 KB");
}

int main(int count, char **arguments) {
  program = arguments[0];
  if (count == 2 && !strcmp(arguments[1], "--get")) return printf("%d\n", (int)xent_get_num_threads()) < 0;
  alarm(300); /* a hang fails */
  check_environment();
  check_setting();
  for (int n = 0; n < operation_count; n++)
    for (dtype type = F32; type < DTYPES; type++) {
      check_bits(&operations[n], type, 4096, 257, XENT_REDUCTION_MEAN);
      check_bits(&operations[n], type, 300, 5000, XENT_REDUCTION_NONE);
      check_bits(&operations[n], type, 3, 300001, XENT_REDUCTION_SUM);
    }

  REQUIRE(operation_count <= (int)(sizeof references / sizeof *references));
  REQUIRE(xent_set_num_threads(1) == XENT_OK);
  for (int n = 0; n < operation_count; n++)
    for (dtype type = F32; type < DTYPES; type++) {
      allocate_arrays(&operations[n], type, &shared_shape, references[n][type].arrays);
      fill_arrays(&operations[n], type, &shared_shape, references[n][type].arrays, 23);
      REQUIRE(operations[n].call[type](references[n][type].arrays, &shared_shape) == XENT_OK);
    }
  REQUIRE(xent_set_num_threads(4) == XENT_OK);
  check_callers(false);
  check_callers(true);
  check_small_stack();
  for (int n = 0; n < operation_count; n++)
    for (dtype type = F32; type < DTYPES; type++) free_arrays(&operations[n], references[n][type].arrays);
  return check_summary();
}
