/* What Swift cannot say in one instruction: lanes, and lines of memory. */
#ifndef CXENT_LANES_H
#define CXENT_LANES_H

#include "kernel.h"

/* How vectors are passed depends on the level, but all of these are inlined. */
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

typedef int32_t xentk_int16lanes __attribute__((vector_size(64)));
typedef uint16_t xentk_half16lanes __attribute__((vector_size(32)));
typedef float xentk_float8lanes __attribute__((vector_size(32)));
typedef int32_t xentk_int8lanes __attribute__((vector_size(32)));
typedef float xentk_float16lanes __attribute__((vector_size(64)));
typedef double xentk_double8lanes __attribute__((vector_size(64)));
typedef int64_t xentk_long8lanes __attribute__((vector_size(64)));

/* Conversions, lane by lane. The standard library's are functions that a large caller does not inline. */
XENTK_INLINE xentk_double8lanes xentk_doubles(xentk_float8lanes v) {
  return __builtin_convertvector(v, xentk_double8lanes);
}
XENTK_INLINE xentk_float8lanes xentk_floats(xentk_double8lanes v) {
  return __builtin_convertvector(v, xentk_float8lanes);
}
XENTK_INLINE xentk_int16lanes xentk_widen(xentk_half16lanes v) { return __builtin_convertvector(v, xentk_int16lanes); }
XENTK_INLINE xentk_half16lanes xentk_narrow(xentk_int16lanes v) { return __builtin_convertvector(v, xentk_half16lanes); }

/* a·b + c, rounded once: for where it is an instruction. The standard library's is a loop over the lanes, of which the
 * compiler does not always make one vector again. */
XENTK_INLINE xentk_double8lanes xentk_fma_doubles(xentk_double8lanes a, xentk_double8lanes b, xentk_double8lanes c) {
  return __builtin_elementwise_fma(a, b, c);
}
XENTK_INLINE xentk_float16lanes xentk_fma_floats(xentk_float16lanes a, xentk_float16lanes b, xentk_float16lanes c) {
  return __builtin_elementwise_fma(a, b, c);
}

/* Halves of sixteen. */
XENTK_INLINE xentk_float8lanes xentk_low(xentk_float16lanes v) {
  return __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7);
}
XENTK_INLINE xentk_float8lanes xentk_high(xentk_float16lanes v) {
  return __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
}
XENTK_INLINE xentk_float16lanes xentk_join(xentk_float8lanes low, xentk_float8lanes high) {
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* Loads and stores, at any address; and stores past the caches, at multiples of a vector's size: for memory that will not be read
 * soon, and is not to be read in order to be written. To be followed by a fence before other threads look at it. */
#define XENTK_MEMORY(suffix, vector)                                                                        \
  XENTK_INLINE vector xentk_load_##suffix(const void *_Nonnull p) {                                         \
    vector v;                                                                                               \
    __builtin_memcpy(&v, p, sizeof v);                                                                      \
    return v;                                                                                               \
  }                                                                                                         \
  XENTK_INLINE void xentk_store_##suffix(void *_Nonnull p, vector v) { __builtin_memcpy(p, &v, sizeof v); } \
  XENTK_INLINE void xentk_stream_##suffix(void *_Nonnull p, vector v) { __builtin_nontemporal_store(v, (vector *)p); }
XENTK_MEMORY(halves, xentk_half16lanes)
XENTK_MEMORY(8floats, xentk_float8lanes)
XENTK_MEMORY(floats, xentk_float16lanes)
XENTK_MEMORY(doubles, xentk_double8lanes)
#undef XENTK_MEMORY

/* The same lanes, to be there as a whole at this point: what the compiler would else move or take apart. */
XENTK_INLINE xentk_float16lanes xentk_whole(xentk_float16lanes v) {
#if defined(__AVX512F__)
  __asm__ volatile("" : "+v"(v));
#elif defined(__AVX2__)
  xentk_float8lanes low = xentk_low(v), high = xentk_high(v);
  __asm__ volatile("" : "+x"(low), "+x"(high));
  v = xentk_join(low, high);
#endif
  return v;
}

/* The same of a mask: where masks are no registers of their own, one of eight lanes that is used in several places is else packed to
 * 16 bits a lane, and unpacked in each. */
XENTK_INLINE xentk_long8lanes xentk_whole_mask(xentk_long8lanes mask) {
#if defined(__AVX2__) && !defined(__AVX512F__)
  typedef int64_t four __attribute__((vector_size(32)));
  four low = __builtin_shufflevector(mask, mask, 0, 1, 2, 3), high = __builtin_shufflevector(mask, mask, 4, 5, 6, 7);
  __asm__("" : "+x"(low), "+x"(high));
  mask = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
#endif
  return mask;
}

/* 1, but the compiler does not know. */
XENTK_INLINE double xentk_one(void) {
  double one = 1;
  __asm__("" : "+x"(one));
  return one;
}

/* Whether any bit is set. */
XENTK_INLINE int xentk_any(xentk_int16lanes mask) { return __builtin_reduce_or(mask) != 0; }
XENTK_INLINE int xentk_any_doubles(xentk_long8lanes mask) { return __builtin_reduce_or(mask) != 0; }

/* Whether a lane, by its bits, is within 8 of an odd multiple of `tie`, a power of two, or smaller than `least`. */
XENTK_INLINE int xentk_any_near_ties(xentk_float16lanes v, int32_t tie, int32_t least) {
  xentk_int16lanes bits = (xentk_int16lanes)v;
  return __builtin_reduce_or((((bits - (tie - 8)) & (2 * tie - 1)) <= 16) | ((bits & INT32_MAX) < least)) != 0;
}

/* Comparisons of integers, which Swift makes lane by lane: all ones or 0. */
XENTK_INLINE xentk_long8lanes xentk_equal(xentk_long8lanes v, int64_t number) { return v == number; }
XENTK_INLINE xentk_long8lanes xentk_positive(xentk_long8lanes v) { return v > 0; }
XENTK_INLINE xentk_long8lanes xentk_load_ints(const void *_Nonnull p) {
  typedef int32_t eight __attribute__((vector_size(32)));
  eight v;
  __builtin_memcpy(&v, p, sizeof v);
  return __builtin_convertvector(v, xentk_long8lanes);
}

/* b where it is greater (less) than a, otherwise a: one instruction, which the compiler does not find in Swift's lanes. */
#define XENTK_EXTREMES(suffix, vector, bits)                                           \
  XENTK_INLINE vector xentk_larger##suffix(vector a, vector b) {                       \
    bits is_greater = (bits)(b > a);                                                   \
    return (vector)(((bits)b & is_greater) | ((bits)a & ~is_greater));                 \
  }                                                                                    \
  XENTK_INLINE vector xentk_smaller##suffix(vector a, vector b) {                      \
    bits is_less = (bits)(b < a);                                                      \
    return (vector)(((bits)b & is_less) | ((bits)a & ~is_less));                       \
  }
XENTK_EXTREMES(, xentk_float16lanes, xentk_int16lanes)
XENTK_EXTREMES(_doubles, xentk_double8lanes, xentk_long8lanes)
#undef XENTK_EXTREMES
/* Bit k: lane k of one is that of the other. */
XENTK_INLINE uint32_t xentk_equal_floats(xentk_float16lanes a, xentk_float16lanes b) {
#if defined(__AVX512F__)
  typedef float v16sf __attribute__((vector_size(64)));
  return (uint16_t)__builtin_ia32_cmpps512_mask((v16sf)a, (v16sf)b, 0, (uint16_t)-1, 4);
#elif defined(__AVX2__)
  xentk_float16lanes equal = (xentk_float16lanes)(a == b);
  return (uint32_t)__builtin_ia32_movmskps256(xentk_low(equal)) |
         (uint32_t)__builtin_ia32_movmskps256(xentk_high(equal)) << 8;
#else
  xentk_int16lanes equal = (xentk_int16lanes)(a == b);
  uint32_t bits = 0;
  for (int lane = 0; lane < 16; lane++) bits |= (uint32_t)equal[lane] & 1u << lane;
  return bits;
#endif
}
XENTK_INLINE uint32_t xentk_equal_doubles(xentk_double8lanes a, xentk_double8lanes b) {
  xentk_long8lanes equal = (xentk_long8lanes)(a == b);
#if defined(__AVX2__) && !defined(__AVX512F__)
  typedef double four __attribute__((vector_size(32)));
  four low = (four)__builtin_shufflevector(equal, equal, 0, 1, 2, 3);
  four high = (four)__builtin_shufflevector(equal, equal, 4, 5, 6, 7);
  return (uint32_t)__builtin_ia32_movmskpd256(low) | (uint32_t)__builtin_ia32_movmskpd256(high) << 4;
#else
  uint32_t bits = 0;
  for (int lane = 0; lane < 8; lane++) bits |= (uint32_t)equal[lane] & 1u << lane;
  return bits;
#endif
}

/* The first `count` of sixteen, less than all of them; the others are `other`, and what is beyond is left alone. */
XENTK_INLINE xentk_float16lanes xentk_load_few_floats(const void *_Nonnull p, int32_t count, float other) {
  xentk_float16lanes v = {0};
  v += other;
#if defined(__AVX512F__)
  typedef float v16sf __attribute__((vector_size(64)));
  return (xentk_float16lanes)__builtin_ia32_loadups512_mask((const float *)p, (v16sf)v, (uint16_t)((1u << count) - 1));
#elif defined(__AVX2__)
  xentk_int8lanes lane = {0, 1, 2, 3, 4, 5, 6, 7};
  xentk_int8lanes low = lane < count, high = lane < count - 8;
  xentk_float8lanes first = __builtin_ia32_maskloadps256((const xentk_float8lanes *)p, low);
  xentk_float8lanes second = __builtin_ia32_maskloadps256((const xentk_float8lanes *)((const char *)p + 32), high);
  xentk_int16lanes is = (xentk_int16lanes)xentk_join((xentk_float8lanes)low, (xentk_float8lanes)high);
  return (xentk_float16lanes)(((xentk_int16lanes)xentk_join(first, second) & is) | ((xentk_int16lanes)v & ~is));
#else
  for (int32_t i = 0; i < count; i++) __builtin_memcpy((char *)&v + 4 * i, (const char *)p + 4 * i, 4);
  return v;
#endif
}
XENTK_INLINE void xentk_store_few_floats(void *_Nonnull p, xentk_float16lanes v, int32_t count) {
#if defined(__AVX512F__)
  typedef float v16sf __attribute__((vector_size(64)));
  __builtin_ia32_storeups512_mask((float *)p, (v16sf)v, (uint16_t)((1u << count) - 1));
#elif defined(__AVX2__)
  // By halves of what is left: processors are slow with masked stores.
  char *out = (char *)p;
  xentk_float8lanes eight = xentk_low(v);
  if (count & 8) {
    __builtin_memcpy(out, &eight, 32);
    out += 32;
    eight = xentk_high(v);
  }
  typedef float four_lanes __attribute__((vector_size(16)));
  four_lanes four = __builtin_shufflevector(eight, eight, 0, 1, 2, 3);
  if (count & 4) {
    __builtin_memcpy(out, &four, 16);
    out += 16;
    four = __builtin_shufflevector(eight, eight, 4, 5, 6, 7);
  }
  if (count & 2) {
    __builtin_memcpy(out, &four, 8);
    out += 8;
    four = __builtin_shufflevector(four, four, 2, 3, 2, 3);
  }
  if (count & 1) __builtin_memcpy(out, &four, 4);
#else
  for (int32_t i = 0; i < count; i++) __builtin_memcpy((char *)p + 4 * i, (const char *)&v + 4 * i, 4);
#endif
}

/* b where the mask's bits are set, a where they are not. Swift's own `replacing` goes through the lanes one by one. */
XENTK_INLINE xentk_double8lanes xentk_select_doubles(xentk_double8lanes a, xentk_double8lanes b, xentk_long8lanes mask) {
  return (xentk_double8lanes)(((xentk_long8lanes)b & mask) | ((xentk_long8lanes)a & ~mask));
}
XENTK_INLINE xentk_float16lanes xentk_select_floats(xentk_float16lanes a, xentk_float16lanes b, xentk_int16lanes mask) {
  return (xentk_float16lanes)(((xentk_int16lanes)b & mask) | ((xentk_int16lanes)a & ~mask));
}
XENTK_INLINE xentk_long8lanes xentk_select_longs(xentk_long8lanes a, xentk_long8lanes b, xentk_long8lanes mask) {
  return (b & mask) | (a & ~mask);
}
XENTK_INLINE xentk_int16lanes xentk_select_ints(xentk_int16lanes a, xentk_int16lanes b, xentk_int16lanes mask) {
  return (b & mask) | (a & ~mask);
}

/* `count` lanes of v from `first` on; the others are 0. */
XENTK_INLINE xentk_double8lanes xentk_alone(xentk_double8lanes v, int64_t first, int64_t count) {
  xentk_long8lanes lane = {0, 1, 2, 3, 4, 5, 6, 7};
  return (xentk_double8lanes)((xentk_long8lanes)v & ((lane >= first) & (lane < first + count)));
}

/* The largest lane, by a fixed tree of "b where it is greater than a". */
XENTK_INLINE double xentk_largest_double(xentk_double8lanes v) {
#if defined(__AVX2__)
  typedef double v4df __attribute__((vector_size(32)));
  typedef double v2df __attribute__((vector_size(16)));
  v4df four = __builtin_ia32_maxpd256(__builtin_shufflevector(v, v, 4, 5, 6, 7),
                                      __builtin_shufflevector(v, v, 0, 1, 2, 3));
  v2df two = __builtin_ia32_maxpd(__builtin_shufflevector(four, four, 2, 3), __builtin_shufflevector(four, four, 0, 1));
  return two[1] > two[0] ? two[1] : two[0];
#else
  for (int width = 4; width > 0; width /= 2)
    for (int lane = 0; lane < width; lane++) v[lane] = v[lane + width] > v[lane] ? v[lane + width] : v[lane];
  return v[0];
#endif
}
XENTK_INLINE float xentk_largest_float(xentk_float16lanes v) {
#if defined(__AVX2__)
  typedef float v8sf __attribute__((vector_size(32)));
  typedef float v4sf __attribute__((vector_size(16)));
  v8sf eight = __builtin_ia32_maxps256(__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15),
                                       __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7));
  v4sf four = __builtin_ia32_maxps(__builtin_shufflevector(eight, eight, 4, 5, 6, 7),
                                   __builtin_shufflevector(eight, eight, 0, 1, 2, 3));
  v4sf two = __builtin_ia32_maxps(__builtin_shufflevector(four, four, 2, 3, 2, 3), four);
  return two[1] > two[0] ? two[1] : two[0];
#else
  for (int width = 8; width > 0; width /= 2)
    for (int lane = 0; lane < width; lane++) v[lane] = v[lane + width] > v[lane] ? v[lane + width] : v[lane];
  return v[0];
#endif
}

/* A line of memory that will be read soon; any address will do, mapped or not. */
XENTK_INLINE void xentk_prefetch(const void *_Nonnull p) { __builtin_prefetch(p); }

/* Where one run of bytes that go past the caches ends and the next begins, a line is written in part, and read for that: the
 * one that ends the next run, to be there by then. */
XENTK_INLINE void xentk_prefetch_end(const void *_Nonnull run, int64_t bytes) {
  xentk_prefetch((const char *)run + 2 * bytes);
}

/* Copies bytes past the caches, a line at a time; multiples of 4, to multiples of 4. */
XENTK_INLINE void xentk_stream(void *_Nonnull to, const void *_Nonnull from, int64_t bytes) {
  char *out = (char *)to;
  const char *in = (const char *)from;
  int64_t head = (int64_t)(-(uintptr_t)out & 63);
  if (head > bytes) head = bytes;
  int64_t i = 0;
  for (; i < head; i += 4) __builtin_memcpy(out + i, in + i, 4);
  for (; i + 64 <= bytes; i += 64) xentk_stream_floats(out + i, xentk_load_floats(in + i));
  for (; i < bytes; i += 4) __builtin_memcpy(out + i, in + i, 4);
}
XENTK_INLINE void xentk_fence(void) { __asm__ volatile("sfence" ::: "memory"); }

/* c, up to 31, from memory, where an instruction that needs it in all lanes can take it from. */
XENTK_INLINE float xentk_small_number(int64_t c) {
  static const float numbers[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
  return numbers[c];
}

/* table[index & 7] in every lane; the table stands twice in a row. */
XENTK_INLINE xentk_int16lanes xentk_lookup(xentk_int16lanes table, xentk_int16lanes index) {
#if defined(__AVX512F__)
  typedef int v16si __attribute__((vector_size(64)));
  return (xentk_int16lanes)__builtin_ia32_permvarsi512((v16si)table, (v16si)index);
#elif defined(__AVX2__)
  typedef int v8si __attribute__((vector_size(32)));
  v8si half = (v8si)__builtin_shufflevector(table, table, 0, 1, 2, 3, 4, 5, 6, 7);
  v8si low = (v8si)__builtin_shufflevector(index, index, 0, 1, 2, 3, 4, 5, 6, 7);
  v8si high = (v8si)__builtin_shufflevector(index, index, 8, 9, 10, 11, 12, 13, 14, 15);
  return (xentk_int16lanes)__builtin_shufflevector(
      __builtin_ia32_permvarsi256(half, low), __builtin_ia32_permvarsi256(half, high), 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
      11, 12, 13, 14, 15);
#else
  xentk_int16lanes result;
  for (int lane = 0; lane < 16; lane++) result[lane] = table[index[lane] & 7];
  return result;
#endif
}

/* Has the compiler forget what p is made of: it else keeps each of 16 rows' distance from the first, in memory. */
#define XENTK_FORGET(p) __asm__("" : "+r"(p))
/* Some classes of 8 rows of f64, or of 16 rows of f32, to the rows' lanes: to[c·width + r] = from[r·stride + c]. And back. Of
 * fewer rows than lanes the last one stands in all that are left over, and nothing is stored for these. */
#define XENTK_TRANSPOSE(to_lanes, to_rows, type, network, classes)                                                   \
  XENTK_INLINE void to_lanes(const type *_Nonnull from, int64_t stride, int64_t rows, type *_Nonnull to) {           \
    enum { ROW = classes * sizeof(type), GROUPS = sizeof(network##_vector) / ROW };                                  \
    network##_vector v[classes];                                                                                     \
    _Pragma("clang loop unroll(full)")                                                                               \
    for (int r = 0; r < classes * GROUPS; r++) {                                                                     \
      __builtin_memcpy((char *)&v[r % classes] + r / classes * ROW, from, ROW);                                      \
      if (r + 1 < rows) from += stride;                                                                              \
      if (r % 4 == 3) XENTK_FORGET(from);                                                                            \
    }                                                                                                                \
    network(v);                                                                                                      \
    __builtin_memcpy(to, v, sizeof v);                                                                               \
  }                                                                                                                  \
  /* Row after row: where rows are shorter each overwrites what the one before has put behind its end. */            \
  XENTK_INLINE void to_rows(const type *_Nonnull from, type *_Nonnull to, int64_t stride, int64_t rows) {            \
    enum { ROW = classes * sizeof(type), GROUPS = sizeof(network##_vector) / ROW };                                  \
    network##_vector v[classes];                                                                                     \
    __builtin_memcpy(v, from, sizeof v);                                                                             \
    network(v);                                                                                                      \
    _Pragma("clang loop unroll(full)")                                                                               \
    for (int r = 0; r < classes * GROUPS; r++) {                                                                     \
      if (r < rows) __builtin_memcpy(to, (char *)&v[r % classes] + r / classes * ROW, ROW);                          \
      to += stride;                                                                                                  \
      if (r % 4 == 3) XENTK_FORGET(to);                                                                              \
    }                                                                                                                \
  }

/* 4 by 4 of f32: row r in the first lanes, rows r + 4, r + 8 and r + 12 in those after them. Singles, pairs. */
typedef xentk_float16lanes xentk_floats4_vector;
XENTK_INLINE void xentk_floats4(xentk_floats4_vector *_Nonnull a) {
  xentk_floats4_vector b[4];
  for (int r = 0; r < 4; r += 2) {
    b[r] = __builtin_shufflevector(a[r], a[r + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
    b[r + 1] = __builtin_shufflevector(a[r], a[r + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  }
  for (int k = 0; k < 2; k++) {
    a[2 * k] = __builtin_shufflevector(b[k], b[k + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
    a[2 * k + 1] = __builtin_shufflevector(b[k], b[k + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  }
}
/* 8 by 8: row r in the low lanes and row r + 8 in the high ones. Quarters after that. */
typedef xentk_float16lanes xentk_floats8_vector;
XENTK_INLINE void xentk_floats8(xentk_floats8_vector *_Nonnull a) {
  xentk_floats8_vector b[8];
  xentk_floats4(a);
  xentk_floats4(a + 4);
  for (int r = 0; r < 4; r++) {
    b[r] = __builtin_shufflevector(a[r], a[r + 4], 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    b[r + 4] = __builtin_shufflevector(a[r], a[r + 4], 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  }
  for (int r = 0; r < 8; r++) a[r] = b[r];
}
/* 4 by 4 of f64: row r in the low lanes and row r + 4 in the high ones. */
typedef xentk_double8lanes xentk_doubles4_vector;
XENTK_INLINE void xentk_doubles4(xentk_doubles4_vector *_Nonnull a) {
  xentk_doubles4_vector b[4];
  for (int r = 0; r < 4; r += 2) {
    b[r] = __builtin_shufflevector(a[r], a[r + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    b[r + 1] = __builtin_shufflevector(a[r], a[r + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (int k = 0; k < 2; k++) {
    a[k] = __builtin_shufflevector(b[k], b[k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    a[k + 2] = __builtin_shufflevector(b[k], b[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
  }
}
/* 8 by 8: rows r and r + 4 interleaved, three times. */
typedef xentk_double8lanes xentk_doubles8_vector;
XENTK_INLINE void xentk_doubles8(xentk_doubles8_vector *_Nonnull a) {
  xentk_doubles8_vector b[8];
  for (int stage = 0; stage < 3; stage++) {
    for (int r = 0; r < 4; r++) {
      b[2 * r] = __builtin_shufflevector(a[r], a[r + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      b[2 * r + 1] = __builtin_shufflevector(a[r], a[r + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    for (int r = 0; r < 8; r++) a[r] = b[r];
  }
}

/* Classes that go together: of 16 rows there are registers for four with AVX2. Measured (Zen 3): eight take 1.05 to 1.2 times
 * as long of 4 to 16 classes, as long of more; of f64 1.06 to 1.24 times. */
#if defined(__AVX512F__)
enum { XENTK_TOGETHER = 8 };
XENTK_TRANSPOSE(xentk_floats_to_lanes, xentk_floats_to_rows, float, xentk_floats8, 8)
XENTK_TRANSPOSE(xentk_doubles_to_lanes, xentk_doubles_to_rows, double, xentk_doubles8, 8)
#else
enum { XENTK_TOGETHER = 4 };
XENTK_TRANSPOSE(xentk_floats_to_lanes, xentk_floats_to_rows, float, xentk_floats4, 4)
XENTK_TRANSPOSE(xentk_doubles_to_lanes, xentk_doubles_to_rows, double, xentk_doubles4, 4)
#endif
#undef XENTK_TRANSPOSE
#undef XENTK_FORGET

/* The same of 8 classes of 16 rows that come or go in 8 registers: rows r and r + 8 in register r. */
XENTK_INLINE void xentk_transpose(const float *_Nonnull from, float *_Nonnull to) {
  xentk_floats8_vector v[8];
  __builtin_memcpy(v, from, sizeof v);
  xentk_floats8(v);
  __builtin_memcpy(to, v, sizeof v);
}
/* Elements of 16 bits, eight and eight. */
XENTK_INLINE xentk_half16lanes xentk_load_two_halves(const void *_Nonnull low, const void *_Nonnull high) {
  xentk_half16lanes v;
  __builtin_memcpy(&v, low, sizeof v / 2);
  __builtin_memcpy((char *)&v + sizeof v / 2, high, sizeof v / 2);
  return v;
}
XENTK_INLINE void xentk_copy_8halves(void *_Nonnull to, const void *_Nonnull from) {
  __builtin_memcpy(to, from, sizeof(xentk_half16lanes) / 2);
}

#pragma clang diagnostic pop

#endif
