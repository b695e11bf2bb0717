/* What the library takes from the operating system, the processor and the C compiler: all that Swift cannot reach
 * without a runtime of its own. Header-only. */
#ifndef CXENT_SYSTEM_H
#define CXENT_SYSTEM_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#define XENTS_INLINE static inline __attribute__((always_inline))

/* 3: x86-64-v3, 4: x86-64-v4, 1: any other processor. */
XENTS_INLINE int32_t xents_cpu_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return 4;
  if (__builtin_cpu_supports("x86-64-v3")) return 3;
#endif
  return 1;
}

/* The processors this process may run on. */
XENTS_INLINE int32_t xents_cpu_count(void) {
#if defined(__linux__)
  /* Not by its wrapper: that asks for _GNU_SOURCE, with which this module's libc differs from the one Swift imports. */
  unsigned long set[1024];
  long bytes = syscall(SYS_sched_getaffinity, 0, sizeof set, set);
  int32_t allowed = 0;
  for (long i = 0; i < bytes / (long)sizeof *set; i++) allowed += __builtin_popcountl(set[i]);
  if (allowed > 0) return allowed;
#endif
  long count = sysconf(_SC_NPROCESSORS_ONLN);
  return count > 0 ? (int32_t)count : 1;
}

/* ---- Arithmetic -------------------------------------------------------------------------------------------------- */

/* The calling thread's floating-point control, and the one that every result is documented for: rounding to nearest,
 * subnormal numbers kept, nothing trapped. For hosts that run their callbacks under another one. */
XENTS_INLINE uint64_t xents_arithmetic(void) {
#if defined(__x86_64__)
  return __builtin_ia32_stmxcsr();
#elif defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return control;
#else
  return 0;
#endif
}
XENTS_INLINE void xents_set_arithmetic(uint64_t control) {
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((unsigned)control);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(control));
#else
  (void)control;
#endif
}
#if defined(__x86_64__)
enum { XENTS_DEFAULT_ARITHMETIC = 0x1f80 };
#else
enum { XENTS_DEFAULT_ARITHMETIC = 0 };
#endif

/* ---- The last error's text, one for each thread ------------------------------------------------------------------ */

enum { XENTS_TEXT_SIZE = 256 };

/* The calling thread's text. Implemented once, by XentCore: a static variable of an inline function is one for each
 * module that the function is inlined into. */
char *_Nonnull xents_text(void);

/* For xents_text alone. initial-exec: the other model calls __tls_get_addr, and with it needs ld.so by name. */
static inline char *_Nonnull xents_text_storage(void) {
  static _Thread_local char text[XENTS_TEXT_SIZE] __attribute__((tls_model("initial-exec")));
  return text;
}

/* ---- Atomics, sequentially consistent unless named --------------------------------------------------------------- */

XENTS_INLINE int64_t xents_load(const int64_t *_Nonnull p) { return __atomic_load_n(p, __ATOMIC_SEQ_CST); }
XENTS_INLINE void xents_store(int64_t *_Nonnull p, int64_t value) { __atomic_store_n(p, value, __ATOMIC_SEQ_CST); }
XENTS_INLINE int64_t xents_add(int64_t *_Nonnull p, int64_t value) {
  return __atomic_add_fetch(p, value, __ATOMIC_SEQ_CST);
}
XENTS_INLINE int32_t xents_exchange(int64_t *_Nonnull p, int64_t expected, int64_t value) {
  return __atomic_compare_exchange_n(p, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Between two looks at a word that another thread will change. */
XENTS_INLINE void xents_pause(void) {
#if defined(__x86_64__)
  __asm__ volatile("pause");
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

/* ---- What the process shares ------------------------------------------------------------------------------------- */

/* Workers and the one job they are on. Every word that more than one thread may touch at once is an atomic, or under
 * the mutex, or read only by a thread that holds a claim on the job (see Pool.swift). */
typedef struct xents_pool {
  int64_t ticket; /* round << 32 | seats << 16 | segments left */
  int64_t apart[7]; /* a cache line to itself; Swift does not import an aligned attribute */
  int64_t finished; /* segments done in this round */
  int64_t apart2[7];
  int64_t round; /* what sleeping workers wait for; written under the mutex */
  int64_t workers; /* only by the owner */
  int64_t segments;
  const void *_Nullable job;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
} xents_pool;

typedef struct xents_shared {
  int64_t cpu_level;           /* 0: not asked yet */
  int64_t automatic_threads;   /* 0: not asked yet */
  int64_t threads;             /* as set; 0: automatic */
  int64_t owner;               /* 1 while a call has the pool */
  int64_t fork_handled;        /* 1 once the child's handler is in place */
  xents_pool *_Nullable pool;  /* only by the owner, and by the child after a fork */
} xents_shared;

/* Implemented once, by XentRuntime, over the storage below it. */
xents_shared *_Nonnull xents_state(void);
static inline xents_shared *_Nonnull xents_state_storage(void) {
  static xents_shared shared;
  return &shared;
}

/* The child has none of the parent's threads: it leaves the pool where it is, whatever state it was in, and makes its
 * own when it needs one. */
static inline void xents_after_fork(void) {
  xents_state()->pool = NULL;
  xents_store(&xents_state()->owner, 0);
}

/* A pool without workers, NULL if there is no memory for it. */
static inline xents_pool *_Nullable xents_pool_create(void) {
  xents_shared *shared = xents_state();
  int before = errno; /* the caller's, here and below */
  if (!shared->fork_handled) {
    if (pthread_atfork(NULL, NULL, xents_after_fork) != 0) return NULL;
    shared->fork_handled = 1;
  }
  void *memory = NULL;
  int error = posix_memalign(&memory, 64, sizeof(xents_pool));
  errno = before;
  if (error != 0) return NULL;
  xents_pool *pool = (xents_pool *)memory;
  memset(pool, 0, sizeof *pool);
  if (pthread_mutex_init(&pool->mutex, NULL) != 0) {
    free(pool);
    return NULL;
  }
  if (pthread_cond_init(&pool->changed, NULL) != 0) {
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
    return NULL;
  }
  return pool;
}

/* Starts a detached thread that takes no signals: they are the host's, for its own threads. 0, or an error number. */
static inline int32_t xents_spawn(void *_Nullable (*_Nonnull body)(void *_Nullable), void *_Nonnull argument) {
  sigset_t all, mask;
  pthread_attr_t attributes;
  pthread_t thread;
  int before = errno;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return error;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &mask);
  error = pthread_create(&thread, &attributes, body, argument);
  pthread_sigmask(SIG_SETMASK, &mask, NULL);
  pthread_attr_destroy(&attributes);
  errno = before;
  return error;
}

#endif
