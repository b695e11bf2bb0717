/* SPDX-License-Identifier: Apache-2.0
 *
 * What belongs to the caller: errno, the rounding mode, the exception flags, traps, flush-to-zero, the signal mask. Every
 * function leaves them as they were, whether it succeeds or not, and gives the bits it gives with the default ones:
 * alone, with threads that were started under them, and called from a thread that was.
 */
#include "check.h"
#include "descriptors.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Settings --------------------------------------------------------------------------------------------------- */

typedef struct {
  const char *name;
  int rounding;
  int flags, traps; /* raised before; those that end the process */
  bool flushes;     /* subnormal results and operands are 0 */
} setting;

static const setting settings[] = {
    {"the default", FE_TONEAREST, 0, 0, false},
    {"FE_DOWNWARD", FE_DOWNWARD, 0, 0, false},
    {"FE_UPWARD", FE_UPWARD, FE_INEXACT, 0, false},
    {"FE_TOWARDZERO", FE_TOWARDZERO, FE_ALL_EXCEPT, 0, false},
    {"flush-to-zero", FE_TONEAREST, FE_OVERFLOW, 0, true},
    {"flush-to-zero and FE_UPWARD", FE_UPWARD, FE_DIVBYZERO, 0, true},
    {"traps", FE_TONEAREST, 0, 1, false},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

#if defined(__x86_64__)
typedef uint32_t control;
static control read_control(void) { return __builtin_ia32_stmxcsr(); }
static void write_control(control c) { __builtin_ia32_ldmxcsr(c); }
enum { FLUSHES = 0x8040, TRAPS = 0x1F80 }; /* the bits mask the traps */
static control with_traps(control c) { return c & ~(control)(TRAPS & ~0x1100); } /* but underflow and inexact */
#elif defined(__aarch64__)
typedef uint64_t control;
static control read_control(void) {
  uint64_t c, s;
  __asm__ volatile("mrs %0, fpcr\n mrs %1, fpsr" : "=r"(c), "=r"(s));
  return c << 32 | (s & 0xFFFFFFFF);
}
static void write_control(control c) {
  __asm__ volatile("msr fpcr, %0\n msr fpsr, %1" : : "r"(c >> 32), "r"(c & 0xFFFFFFFF));
}
#define FLUSHES (UINT64_C(1) << 56)
static control with_traps(control c) { return c | UINT64_C(0x700) << 32; } /* where the processor has them */
#else
typedef int control;
static control read_control(void) { return fegetround(); }
static void write_control(control c) { fesetround(c); }
enum { FLUSHES = 0 };
static control with_traps(control c) { return c; }
#endif

static control initial;

static void set(const setting *s) {
  write_control(initial);
  fesetround(s->rounding);
  feraiseexcept(s->flags);
  write_control(s->traps ? with_traps(read_control()) : read_control());
  if (s->flushes) write_control(read_control() | FLUSHES);
}

/* ---- A call under a setting ------------------------------------------------------------------------------------- */

typedef struct {
  bool kept_errno, kept_control, kept_mask;
  xent_status status;
} observed;

static const int error_numbers[] = {0, 4711};

static observed observe(xent_status (*body)(void *), void *argument, const setting *s, int number) {
  sigset_t before, after;
  observed seen;
  sigemptyset(&before);
  sigaddset(&before, SIGUSR2);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  set(s);
  control control = read_control();
  errno = number;
  seen.status = body(argument);
  int number_after = errno;
  seen.kept_control = read_control() == control;
  write_control(initial);
  seen.kept_errno = number_after == number;
  pthread_sigmask(SIG_SETMASK, NULL, &after);
  seen.kept_mask = sigismember(&after, SIGUSR2) == 1 && sigismember(&after, SIGUSR1) == 0;
  sigemptyset(&before);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return seen;
}

static void check_observed(observed seen, xent_status wanted, const char *different, const char *label,
                           const setting *s) {
  because("status %d (%s), %s%s%s%s", (int)seen.status, xent_last_error(), seen.kept_errno ? "" : "errno ",
          seen.kept_control ? "" : "the floating-point environment ", seen.kept_mask ? "" : "the signal mask ",
          different ? different : "");
  CHECK(seen.status == wanted && seen.kept_errno && seen.kept_control && seen.kept_mask && !different, "%s under %s",
        label, s->name);
}

/* ---- Plain functions -------------------------------------------------------------------------------------------- */

typedef struct {
  const operation *op;
  dtype type;
  void *arrays[MAX_ARRAYS];
  parameters p;
} plain;

static xent_status call_plain(void *argument) {
  plain *c = argument;
  return c->op->call[c->type](c->arrays, &c->p);
}

/* Values at the ends of the format, so that results overflow, underflow and are subnormal. */
static void roughen(const plain *c) {
  static const double rough[] = {-90, 80, -100.5, 1e38, -1e38, 700, -740, 0};
  uint64_t seed = 3;
  for (int k = 0; k < c->op->count; k++) {
    const array_spec *array = &c->op->arrays[k];
    for (int64_t n = 0; !array->is_output && !array->is_int64 && n < element_count(array, &c->p); n++)
      if (random_bits(&seed) % 4 == 0)
        store(c->arrays[k], element_type(array, c->type), n,
              array->shape == MATRIX ? rough[random_bits(&seed) % 8] : 1e-30);
  }
}

static void check_plain(const operation *op, dtype type, int64_t rows, int64_t classes) {
  plain c = {op, type, {NULL}, {rows, classes, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN}};
  void *expected[MAX_ARRAYS];
  allocate_arrays(op, type, &c.p, c.arrays);
  allocate_arrays(op, type, &c.p, expected);
  fill_arrays(op, type, &c.p, c.arrays, 9);
  roughen(&c);
  REQUIRE(call_plain(&c) == XENT_OK);
  for (int k = 0; k < op->count; k++) memcpy(expected[k], c.arrays[k], array_bytes(&op->arrays[k], type, &c.p));
  for (int s = 0; s < SETTINGS; s++) {
    const char *different = NULL;
    for (int k = 0; k < op->count; k++)
      if (op->arrays[k].is_output) memset(c.arrays[k], 0xA5, array_bytes(&op->arrays[k], type, &c.p));
    observed seen = observe(call_plain, &c, &settings[s], error_numbers[s % 2]);
    for (int k = 0; k < op->count; k++)
      if (!same_values(expected[k], c.arrays[k], &op->arrays[k], type, element_count(&op->arrays[k], &c.p)))
        different = op->arrays[k].name;
    check_observed(seen, XENT_OK, different, function_name(op, type), &settings[s]);
    plain wrong = c;
    wrong.p.classes = -3;
    check_observed(observe(call_plain, &wrong, &settings[s], 7), XENT_ERR_SIZE, NULL, function_name(op, type),
                   &settings[s]);
  }
  free_arrays(op, c.arrays);
  free_arrays(op, expected);
}

/* ---- Descriptor calls ------------------------------------------------------------------------------------------- */

static xent_status call_descriptor(void *argument) { return run_call(argument, NULL); }

static void check_descriptor(form form, dtype type, const variant *v, int64_t outer) {
  call expected = make_call(form, type, outer, 33, 3, v, true, 4), c = make_call(form, type, outer, 33, 3, v, true, 4);
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  for (int s = 0; s < SETTINGS; s++) {
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
      if (c.blocks[t]) memset(c.blocks[t], UNTOUCHED, c.block_bytes[t]);
    observed seen = observe(call_descriptor, &c, &settings[s], error_numbers[s % 2]);
    check_observed(seen, XENT_OK, different_output(&c, &expected), call_label(&c), &settings[s]);
    call wrong = c;
    wrong.options.temperature = -0x1p-1060; /* its text divides */
    wrong.tensors[LOGITS].reserved = form >= LOG_SOFTMAX_GRAD;
    check_observed(observe(call_descriptor, &wrong, &settings[s], 7), XENT_ERR_OPTION, NULL, call_label(&c),
                   &settings[s]);
  }
  free_call(&expected);
  free_call(&c);
}

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

static xent_status set_threads(void *number) { return xent_set_num_threads(*(int32_t *)number); }

/* Workers are born under the settings of the thread that makes them. */
static void check_threads(int s) {
  int32_t number = 3 + s;
  pid_t child = fork();
  REQUIRE(child >= 0);
  if (child) {
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(!status, "threads made under %s", settings[s].name);
    return;
  }
  alarm(30);
  plain c = {&operations[5], F32, {NULL}, {3000, 200, XENT_IGNORE_INDEX, XENT_REDUCTION_MEAN}};
  void *expected[MAX_ARRAYS];
  allocate_arrays(c.op, F32, &c.p, c.arrays);
  allocate_arrays(c.op, F32, &c.p, expected);
  fill_arrays(c.op, F32, &c.p, c.arrays, 9);
  roughen(&c);
  if (xent_set_num_threads(1) || call_plain(&c)) _exit(2);
  for (int k = 0; k < c.op->count; k++) memcpy(expected[k], c.arrays[k], array_bytes(&c.op->arrays[k], F32, &c.p));
  observed seen = observe(set_threads, &number, &settings[s], 5);
  if (seen.status || !seen.kept_control || !seen.kept_errno || !seen.kept_mask) _exit(3);
  for (int turn = 0; turn < 20; turn++) {
    if (call_plain(&c)) _exit(4);
    for (int k = 0; k < c.op->count; k++)
      if (!same_values(expected[k], c.arrays[k], &c.op->arrays[k], F32, element_count(&c.op->arrays[k], &c.p)))
        _exit(5);
  }
  _exit(0);
}

int main(void) {
  alarm(300);
  initial = read_control();
  fflush(stdout);
  for (int s = 0; s < SETTINGS; s++) check_threads(s);
  REQUIRE(xent_set_num_threads(2) == XENT_OK);
  for (int k = 0; k < operation_count; k++)
    for (dtype type = F32; type < DTYPES; type++) {
      check_plain(&operations[k], type, 5, 37);
      check_plain(&operations[k], type, 200, 1100);
    }
  for (form form = 0; form < FORMS; form++)
    for (int v = 0; v < variant_count; v++)
      if (variants[v].forms >> form & 1) check_descriptor(form, (dtype)(v % DTYPES), &variants[v], v ? 2 : 60);
  return check_summary();
}
