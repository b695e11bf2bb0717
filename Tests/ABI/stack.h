/* SPDX-License-Identifier: Apache-2.0
 *
 * How much of its stack a thread has used.
 */
#ifndef STACK_H
#define STACK_H

#include "check.h"

#include <pthread.h>
#include <sys/mman.h>

#ifndef __has_feature
#define __has_feature(name) 0
#endif

enum {
  /* On the smallest stacks there are, 64 KiB, it is to leave room for the frames of some signals, of 3 KB each with AVX-512. With
   * 60 KB `make soak` has seen the kernel end processes that had none. What runs the call is in the measure, and the thread.
   * ThreadSanitizer's frames are larger. */
  MOST_STACK = __has_feature(thread_sanitizer) ? 64 * 1024 : 57000,
  PAINTED_STACK = 1 << 18,
  STACK_PAINT = 0xA5
};

/* Runs body(argument) on a painted stack, and says how deep it went. */
static size_t stack_depth(void *(*body)(void *), void *argument, void **result) {
  unsigned char *stack = mmap(NULL, PAINTED_STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(stack != MAP_FAILED);
  memset(stack, STACK_PAINT, PAINTED_STACK);
  pthread_attr_t attributes;
  pthread_t thread;
  REQUIRE(!pthread_attr_init(&attributes) && !pthread_attr_setstack(&attributes, stack, PAINTED_STACK));
  REQUIRE(!pthread_create(&thread, &attributes, body, argument));
  pthread_join(thread, result);
  pthread_attr_destroy(&attributes);
  size_t untouched = 0;
  while (untouched < PAINTED_STACK && stack[untouched] == STACK_PAINT) untouched++;
  munmap(stack, PAINTED_STACK);
  return PAINTED_STACK - untouched;
}

#endif
