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
#include <time.h>
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

/* The value of an environment variable, NULL for none; none in a process with more rights than its user. */
#if defined(__linux__)
char *_Nullable secure_getenv(const char *_Nonnull name); /* declared with _GNU_SOURCE alone */
XENTS_INLINE const char *_Nullable xents_environment(const char *_Nonnull name) { return secure_getenv(name); }
#else
XENTS_INLINE const char *_Nullable xents_environment(const char *_Nonnull name) {
  return geteuid() != getuid() || getegid() != getgid() ? NULL : getenv(name);
}
#endif

/* ---- What a call leaves as it found it --------------------------------------------------------------------------- */

typedef struct xents_caller {
  uint64_t control; /* of the floating-point unit, and its exception flags */
  int32_t error;    /* errno: scalbn sets it where a result leaves the format */
} xents_caller;

/* Rounding to nearest, subnormal numbers as they are, no traps: in the calling thread, until xents_leave is given what
 * this returns, which brings back the caller's settings, exception flags and errno. fegetenv and fesetenv would do the
 * same for the x87 unit, which nothing here uses, in ten times the time. On x86 the settings are looked at once and
 * written back without another look: that takes 5 ns, and to write them less than one. */
XENTS_INLINE xents_caller xents_enter(void) {
  xents_caller caller = {0, errno};
#if defined(__x86_64__)
  uint32_t control = __builtin_ia32_stmxcsr();
  caller.control = control;
  if ((control & ~UINT32_C(0x3F)) != 0x1F80) __builtin_ia32_ldmxcsr(0x1F80);
#elif defined(__aarch64__)
  uint64_t control, status;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("mrs %0, fpsr" : "=r"(status));
  caller.control = control << 32 | (status & UINT64_C(0xFFFFFFFF));
  if (control != 0) __asm__ volatile("msr fpcr, %0" : : "r"(UINT64_C(0)));
#endif
  __asm__ volatile("" : : : "memory");
  return caller;
}

XENTS_INLINE void xents_leave(xents_caller caller) {
  __asm__ volatile("" : : : "memory");
#if defined(__x86_64__)
  __builtin_ia32_ldmxcsr((uint32_t)caller.control);
#elif defined(__aarch64__)
  uint64_t control, status, wanted = caller.control & UINT64_C(0xFFFFFFFF);
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  __asm__ volatile("mrs %0, fpsr" : "=r"(status));
  if (control != caller.control >> 32) __asm__ volatile("msr fpcr, %0" : : "r"(caller.control >> 32));
  if ((status & UINT64_C(0xFFFFFFFF)) != wanted) __asm__ volatile("msr fpsr, %0" : : "r"(wanted));
#endif
  if (errno != caller.error) errno = caller.error;
}

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

/* The core that this thread is on, for the moment; −1 if that cannot be found out. */
#if defined(__linux__)
int sched_getcpu(void); /* declared with _GNU_SOURCE alone */
#endif
XENTS_INLINE int64_t xents_core(void) {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

/* Of a clock that only goes forwards. */
XENTS_INLINE int64_t xents_nanoseconds(void) {
  struct timespec now;
  return clock_gettime(CLOCK_MONOTONIC, &now) == 0 ? (int64_t)now.tv_sec * 1000000000 + now.tv_nsec : 0;
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
  int64_t core;  /* where a worker is not to look for the next round: that the owner began this one on; −1 for none */
  int64_t asleep;  /* 1 + the core that a worker went to sleep on, 0 since the owner has woken all; written under the mutex */
  int64_t slept;   /* when, in nanoseconds */
  int64_t skipped; /* work since then that was done without them; only by the owner, as is what follows */
  int64_t workers;
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
