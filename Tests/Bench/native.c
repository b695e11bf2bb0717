/* SPDX-License-Identifier: Apache-2.0
 *
 * What has to be compiled to be measured: the machine's own limits for reading and writing arrays and for arithmetic, and a
 * loop of small calls without Python between them. native.py builds and loads it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Passes over arrays ---- */

/* A lane is a register: of wider ones GCC makes copies on the stack, with which a pass takes four times as long. */
#if defined(__AVX512F__)
enum { LANE_BYTES = 64 };
#elif defined(__AVX__)
enum { LANE_BYTES = 32 };
#else
enum { LANE_BYTES = 16 };
#endif
enum { LINE_BYTES = 64, BLOCK = 8 * LINE_BYTES, LANES = BLOCK / LANE_BYTES, SUMS = 8, MAX_THREADS = 64 };
typedef uint64_t lane __attribute__((vector_size(LANE_BYTES), may_alias));
typedef void pass(char *out, const char *in, size_t bytes);

/* Far enough ahead that DRAM answers in time; without it one core's own prefetcher gives less. */
enum { AHEAD = 4096 };

static void read_pass(char *out, const char *in, size_t bytes) {
  (void)out;
  lane sums[SUMS] = {{0}};
  for (size_t i = 0; i < bytes; i += BLOCK) {
    for (int line = 0; line < BLOCK; line += LINE_BYTES) __builtin_prefetch(in + i + AHEAD + line);
    for (int k = 0; k < LANES; k++) sums[k % SUMS] ^= *(const lane *)(in + i + k * LANE_BYTES);
  }
  for (int k = 0; k < SUMS; k++) __asm__ volatile("" : : "m"(sums[k]));
}

static void copy_pass(char *out, const char *in, size_t bytes) {
  for (size_t i = 0; i < bytes; i += BLOCK)
    for (int k = 0; k < LANES; k++) *(lane *)(out + i + k * LANE_BYTES) = *(const lane *)(in + i + k * LANE_BYTES);
}

/* Reads and writes the same bytes and leaves them as they were. */
static void scale_pass(char *out, const char *in, size_t bytes) {
  (void)in;
  volatile uint64_t none = 0;
  const lane change = (lane){0} ^ none;
  for (size_t i = 0; i < bytes; i += BLOCK)
    for (int k = 0; k < LANES; k++) *(lane *)(out + i + k * LANE_BYTES) ^= change;
}

#if defined(__x86_64__)
static void copy_nt_pass(char *out, const char *in, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 16)
    _mm_stream_si128((__m128i *)(out + i), _mm_load_si128((const __m128i *)(in + i)));
  _mm_sfence();
}
#else
#define copy_nt_pass NULL
#endif

#include "arithmetic.h"

/* In the order of native.PASSES and native.LOOPS; NULL where this machine has none. */
static pass *const PASSES[] = {read_pass, copy_pass, copy_nt_pass, scale_pass, LOOPS};

typedef struct {
  pass *run;
  char *out;
  const char *in;
  size_t bytes;
  int threads, repeats;
  double *seconds;
  atomic_int arrived;
} job;

typedef struct {
  job *of;
  int number;
} share;

/* Spins at first: the passes are as short as 20 us, and to be woken takes longer. Who waits for long waits for a thread
 * that has no processor, perhaps this one. */
static void meet(job *j, int round) {
  atomic_fetch_add(&j->arrived, 1);
  for (int spins = 0; atomic_load_explicit(&j->arrived, memory_order_acquire) < round * j->threads; spins++)
    if (spins > 20000) sched_yield();
}

static void *work(void *argument) {
  share *s = argument;
  job *j = s->of;
  size_t blocks = j->bytes / BLOCK;
  size_t first = blocks * s->number / j->threads * BLOCK, last = blocks * (s->number + 1) / j->threads * BLOCK;
  for (int i = 0; i < j->repeats; i++) {
    meet(j, 2 * i + 1);
    double start = now();
    j->run(j->out + first, j->in + first, last - first);
    meet(j, 2 * i + 2);
    if (s->number == 0) j->seconds[i] = now() - start;
  }
  return NULL;
}

/* Times `repeats` passes over the arrays, cut in equal parts for the threads. Both are aligned to lines; what is
 * left over a multiple of a block is not touched. Loops of arithmetic do not touch them at all. 0, or -1 where this machine
 * has no such pass. */
int bench_pass(int which, int threads, void *out, const void *in, size_t bytes, int repeats, double *seconds) {
  if (!PASSES[which] || threads < 1 || threads > MAX_THREADS) return -1;
  job j = {PASSES[which], out, in, bytes, threads, repeats, seconds, 0};
  share shares[MAX_THREADS];
  pthread_t others[MAX_THREADS];
  int started = 1;
  for (int t = 0; t < threads; t++) shares[t] = (share){&j, t};
  while (started < threads && !pthread_create(&others[started], NULL, work, &shares[started])) started++;
  if (started == threads) work(&shares[0]);
  else atomic_store(&j.arrived, INT32_MAX / 2); /* frees those that wait */
  for (int t = 1; t < started; t++) pthread_join(others[t], NULL);
  return started == threads ? 0 : -1;
}

/* ---- Small calls ---- */

typedef int32_t cross_entropy(const float *, const int64_t *, int64_t, int64_t, const float *, int64_t, int32_t,
                              float *);

/* An empty call through the same door: a pointer to a function of the same parameters. */
int32_t bench_empty(const float *logits, const int64_t *targets, int64_t rows, int64_t classes, const float *weight,
                    int64_t ignore_index, int32_t reduction, float *loss) {
  (void)logits, (void)targets, (void)rows, (void)classes, (void)weight, (void)ignore_index, (void)reduction, (void)loss;
  __asm__ volatile("");
  return 0;
}

/* Seconds per call of `calls` calls; -1 if one of them failed. */
double bench_calls(cross_entropy *volatile function, const float *logits, const int64_t *targets, int64_t rows,
                   int64_t classes, int64_t calls, float *loss) {
  int32_t failed = 0;
  double start = now();
  for (int64_t i = 0; i < calls; i++) failed |= function(logits, targets, rows, classes, NULL, -100, 1, loss);
  double each = (now() - start) / (double)calls;
  return failed ? -1 : each;
}
