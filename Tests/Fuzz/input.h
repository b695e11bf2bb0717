/* SPDX-License-Identifier: Apache-2.0
 *
 * A fuzzer's input as a stream of decisions. Behind its end the stream goes on with numbers that depend on all of its
 * bytes: so a few bytes make a whole call.
 */
#ifndef INPUT_H
#define INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
  const uint8_t *next, *end;
  uint64_t state;
} input;

static inline uint64_t mixed(uint64_t z) {
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

static inline input open_input(const uint8_t *bytes, size_t count) {
  input in = {bytes, bytes + count, count};
  for (size_t k = 0; k < count; k++) in.state = (in.state ^ bytes[k]) * 0x100000001B3u;
  in.state = mixed(in.state);
  return in;
}

static inline uint64_t drawn(input *in) { return mixed(in->state += 0x9E3779B97F4A7C15u); }

static inline uint64_t take(input *in, size_t bytes) {
  uint64_t value = 0;
  if ((size_t)(in->end - in->next) < bytes) {
    value = drawn(in);
    return bytes < 8 ? value >> (64 - 8 * bytes) : value;
  }
  memcpy(&value, in->next, bytes);
  in->next += bytes;
  return value;
}

static inline uint8_t take8(input *in) { return (uint8_t)take(in, 1); }
static inline int64_t below(input *in, int64_t limit) { return limit > 0 ? take8(in) % limit : 0; }
/* True once in so many. */
static inline int once_in(input *in, int n) { return take8(in) % n == n - 1; }

/* Comparisons of one and two bytes, most of them of Bools: libFuzzer takes them for value profiles alone, which are off, and
 * a tenth of the time for it. The linker puts these in the place of its own. */
void __wrap___sanitizer_cov_trace_cmp1(uint8_t a, uint8_t b);
void __wrap___sanitizer_cov_trace_const_cmp1(uint8_t a, uint8_t b);
void __wrap___sanitizer_cov_trace_cmp2(uint16_t a, uint16_t b);
void __wrap___sanitizer_cov_trace_const_cmp2(uint16_t a, uint16_t b);
void __wrap___sanitizer_cov_trace_cmp1(uint8_t a, uint8_t b) { (void)a, (void)b; }
void __wrap___sanitizer_cov_trace_const_cmp1(uint8_t a, uint8_t b) { (void)a, (void)b; }
void __wrap___sanitizer_cov_trace_cmp2(uint16_t a, uint16_t b) { (void)a, (void)b; }
void __wrap___sanitizer_cov_trace_const_cmp2(uint16_t a, uint16_t b) { (void)a, (void)b; }

#endif
