/* SPDX-License-Identifier: Apache-2.0
 *
 * A malloc that fails on demand. Linked into a program or preloaded (cc -shared -fPIC, LD_PRELOAD) it stands before the
 * C library's and hands on to it.
 *
 *   void failing_malloc_after(long n)  after n more successes every request fails with ENOMEM; never, for n < 0
 *   long failing_malloc_count(void)    how many requests there have been, failed ones too
 *
 * free() and mmap() are left alone.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void failing_malloc_after(long n);
long failing_malloc_count(void);

static atomic_long successes_left = -1, requests;

static void *(*next_malloc)(size_t);
static void *(*next_calloc)(size_t, size_t);
static void *(*next_realloc)(void *, size_t);
static void *(*next_aligned_alloc)(size_t, size_t);
static void *(*next_memalign)(size_t, size_t);
static int (*next_posix_memalign)(void **, size_t, size_t);

/* dlsym may itself ask for memory; it then gets some from here, which nobody gives back. */
static _Alignas(max_align_t) char early[8192];
static size_t early_used;
static int resolving;

static void *early_alloc(size_t size) {
  size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
  if (size > sizeof early - early_used) return NULL;
  early_used += size;
  return early + early_used - size;
}

static int is_early(const void *p) { return (const char *)p >= early && (const char *)p < early + sizeof early; }

/* Before main and thus before other threads. */
__attribute__((constructor)) static void resolve(void) {
  if (next_malloc || resolving) return;
  resolving = 1;
  next_calloc = dlsym(RTLD_NEXT, "calloc");
  next_realloc = dlsym(RTLD_NEXT, "realloc");
  next_aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
  next_memalign = dlsym(RTLD_NEXT, "memalign");
  next_posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
  next_malloc = dlsym(RTLD_NEXT, "malloc");
  resolving = 0;
}

static int may_succeed(void) {
  long left = atomic_load(&successes_left);
  atomic_fetch_add(&requests, 1);
  while (left > 0 && !atomic_compare_exchange_weak(&successes_left, &left, left - 1)) continue;
  if (left) return 1;
  errno = ENOMEM;
  return 0;
}

void failing_malloc_after(long n) { atomic_store(&successes_left, n); }

long failing_malloc_count(void) { return atomic_load(&requests); }

void *malloc(size_t size) {
  resolve();
  if (resolving) return early_alloc(size);
  return may_succeed() ? next_malloc(size) : NULL;
}

void *calloc(size_t count, size_t size) {
  resolve();
  if (resolving) return early_alloc(count * size); /* static memory: zero already */
  return may_succeed() ? next_calloc(count, size) : NULL;
}

void *realloc(void *old, size_t size) {
  resolve();
  if (is_early(old)) {
    void *fresh = malloc(size);
    size_t behind = (size_t)(early + sizeof early - (char *)old);
    return fresh ? memcpy(fresh, old, size < behind ? size : behind) : NULL;
  }
  return may_succeed() ? next_realloc(old, size) : NULL;
}

void *aligned_alloc(size_t alignment, size_t size) {
  resolve();
  return may_succeed() ? next_aligned_alloc(alignment, size) : NULL;
}

void *memalign(size_t alignment, size_t size) {
  resolve();
  return may_succeed() ? next_memalign(alignment, size) : NULL;
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  int saved = errno;
  resolve();
  if (may_succeed()) return next_posix_memalign(result, alignment, size);
  errno = saved; /* it reports by its value only */
  return ENOMEM;
}

void free(void *p) {
  static void (*next_free)(void *);
  if (is_early(p)) return;
  if (!next_free) next_free = dlsym(RTLD_NEXT, "free");
  next_free(p);
}
