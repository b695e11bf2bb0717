/* SPDX-License-Identifier: Apache-2.0
 *
 * The fuzzer of the C ABI: calls of which anything may be wrong. Every function, plain and descriptor; tensors with any
 * sizes, strides, dtypes and addresses; structs shorter and longer than they should be; any option. Each tensor lies
 * between bytes that AddressSanitizer guards, as far as it has memory at all. Whatever the call, it must
 *
 *   - return a status of the header, with a text that begins with its name, the same in xent_error;
 *   - on an error have written nothing, and on success nothing but elements of its outputs;
 *   - leave errno and the floating-point environment as they were;
 *   - and give the same status and the same bits when it is called again.
 */
#include "../ABI/descriptors.h"
#include "input.h"

#include <errno.h>
#include <fenv.h>
#ifndef WITHOUT_SANITIZER
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(start, bytes) ((void)(start), (void)(bytes))
#define __asan_unpoison_memory_region(start, bytes) ((void)(start), (void)(bytes))
#endif
#include <stdio.h>
#include <stdlib.h>

/* Each tensor has a room of its own; the structs have one too. */
enum { ROOM = 1024, STRUCT_ROOM = 512, STRUCTS = TENSORS + 3, GUARD = 64, LARGEST = 768, MOST_ELEMENTS = 1 << 10 };
typedef struct {
  char rooms[TENSORS][ROOM];
  sums sums;
} contents;
static contents memory __attribute__((aligned(64))), before, first;
/* What of it is open to the call. The rest is guarded: nothing has to be compared there. */
static struct {
  size_t start, bytes;
} opened[2 * TENSORS];
static int opened_count;
static char structs[STRUCTS][STRUCT_ROOM] __attribute__((aligned(64)));
static uint32_t csr_before;

static void fail(const char *what) {
  fprintf(stderr, "wrong: %s; last error \"%s\"\n", what, xent_last_error());
  abort();
}

static void open_memory(char *start, size_t bytes) {
  __asan_unpoison_memory_region(start, bytes);
  if (opened_count == 2 * TENSORS) abort();
  opened[opened_count].start = (size_t)(start - (char *)&memory);
  opened[opened_count++].bytes = bytes;
}

static void copy_opened(contents *to, const contents *from) {
  for (int k = 0; k < opened_count; k++)
    memcpy((char *)to + opened[k].start, (const char *)from + opened[k].start, opened[k].bytes);
  to->sums = from->sums;
}

static bool is_opened_same(const contents *a, const contents *b) {
  bool same = !memcmp(&a->sums, &b->sums, sizeof a->sums);
  for (int k = 0; k < opened_count; k++)
    same &= !memcmp((const char *)a + opened[k].start, (const char *)b + opened[k].start, opened[k].bytes);
  return same;
}

/* ---- Numbers that are likely to be wrong ------------------------------------------------------------------------ */

static int64_t odd_number(input *in) {
  static const int64_t some[] = {0, -1, 1, INT64_MAX, INT64_MIN, INT64_MAX / 2, INT64_MAX / 8, INT64_C(1) << 32,
                                 INT64_C(1) << 31, -(INT64_C(1) << 40), 65, 64, 3037000500, 255};
  uint8_t how = take8(in);
  if (how < 200) return some[how % 14] + (how >= 140 ? (int8_t)take8(in) % 3 : 0);
  return how < 228 ? (int64_t)take(in, 8) : (int16_t)take(in, 2);
}

static double odd_double(input *in) {
  static const double some[] = {0, 1, -1, 0.1, 0.5, 2, 1e-300, 1e300, -0.0, __builtin_inf(), -__builtin_inf(), 1.5, 64};
  uint8_t how = take8(in);
  uint64_t bits;
  double value;
  if (how < 208) return some[how % 13];
  if (how < 224) return __builtin_nan("");
  bits = take(in, 8);
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* ---- Tensors ---------------------------------------------------------------------------------------------------- */

static int64_t size_of(const xent_tensor *t) {
  return t->dtype >= XENT_F32 && t->dtype <= XENT_U64 ? (int64_t)xent_dtype_size(t->dtype) : 2;
}

/* Bytes below and above element (0, 0, 0); false where they are more than a room, or more than can be counted. */
static bool extent_of(const xent_tensor *t, int64_t *below, int64_t *above) {
  const int64_t sizes[] = {t->outer, t->classes, t->inner};
  const int64_t strides[] = {t->outer_stride, t->class_stride, t->inner_stride};
  int64_t size = size_of(t);
  __int128 low = 0, high = size, count = 1;
  for (int k = 0; k < 3; k++) {
    if (sizes[k] <= 0) return *below = *above = 0, true;
    __int128 bytes = (__int128)(sizes[k] - 1) * strides[k] * size;
    if (bytes < 0) low -= bytes;
    else high += bytes;
    count *= sizes[k] > MOST_ELEMENTS ? MOST_ELEMENTS + 1 : sizes[k];
    if (low + high > LARGEST || count > MOST_ELEMENTS) return false;
  }
  *below = (int64_t)low;
  *above = (int64_t)high;
  return true;
}

static void fill(input *in, const call *c, tensor t, char *bytes, int64_t count) {
  bool is_index = t == GATHER || (t == TARGETS && (c->form == CE_INDEX || c->form == CE_SPARSE || c->form == NLL));
  int64_t limit = c->classes > 0 && c->classes < 128 ? c->classes : 1;
  if (is_index) {
    int64_t wide = size_of(&c->tensors[t]);
    for (int64_t k = 0; k < count; k++) bytes[k] = 0;
    for (int64_t k = 0; k + wide <= count; k += wide) bytes[k] = (char)((int64_t)(drawn(in) >> 40) % limit);
    if (once_in(in, 16) && count) bytes[take(in, 2) % (uint64_t)count] = (char)take8(in);
    return;
  }
  for (int64_t k = 0; k < count; k += 8) {
    uint64_t value = drawn(in) & 0x3FFF3FFF3FFF3FFFu; /* finite, mostly of a moderate size */
    memcpy(bytes + k, &value, (size_t)(count - k < 8 ? count - k : 8));
  }
}

/* Gives a tensor memory, and everything around it to the guard. */
static void place(input *in, call *c, tensor t) {
  xent_tensor *x = &c->tensors[t];
  int64_t below, above;
  char *room = memory.rooms[t];
  if (once_in(in, 40) || !extent_of(x, &below, &above)) {
    /* No memory: a call that goes through must not have looked. Or NULL, for what could go through for ever. */
    x->data = NULL;
    return;
  }
  int64_t size = size_of(x);
  char *start = room + GUARD + (below + above ? size * below % 8 : 0);
  if (size < 8) start += size * (take8(in) % 4);
  x->data = start + below;
  open_memory(start, (size_t)(below + above));
  fill(in, c, t, start, below + above);
}

static void mutate_tensor(input *in, xent_tensor *x) {
  switch (take8(in) % 10) {
    case 0: x->dtype = (xent_dtype)(take8(in) % 16) - 1; break;
    case 1: x->dtype = (xent_dtype)take(in, 4); break;
    case 2: x->reserved = (int32_t)odd_number(in); break;
    case 3: x->outer = odd_number(in); break;
    case 4: x->classes = odd_number(in); break;
    case 5: x->inner = odd_number(in); break;
    case 6: x->outer_stride = odd_number(in); break;
    case 7: x->class_stride = odd_number(in); break;
    case 8: x->inner_stride = odd_number(in); break;
    default: x->outer = below(in, 5), x->classes = below(in, 70), x->inner = below(in, 5); break;
  }
}

/* ---- Structs ---------------------------------------------------------------------------------------------------- */

/* A struct at the end of its room, of its size or of another; what is not the struct's is guarded. */
static void *put_struct(input *in, int room, const void *whole, size_t known) {
  size_t size = known, stated, tail;
  uint8_t how = take8(in);
  /* A size within a field is no version's, and makes half a pointer. */
  if (how >= 232) size = how < 244 ? take8(in) % known / 8 * 8 : known + take8(in) % 64;
  stated = how >= 252 ? (size_t)odd_number(in) : size;
  if (stated >= sizeof stated && stated < known) stated = stated / 8 * 8;
  if (stated < sizeof stated || stated > STRUCT_ROOM) tail = sizeof stated;
  else tail = stated;
  if (stated > STRUCT_ROOM) stated = tail; /* the caller vouches for its bytes */
  char *at = structs[room] + (STRUCT_ROOM - tail) / 8 * 8;
  __asan_unpoison_memory_region(at, tail);
  memset(at, 0, tail);
  memcpy(at, whole, tail < known ? tail : known);
  memcpy(at, &stated, sizeof stated);
  if (tail > known && once_in(in, 4)) at[known + take8(in) % (tail - known)] = (char)take8(in);
  return at;
}

static void choose_options(input *in, call *c) {
  xent_options *o = &c->options;
  *o = (xent_options)XENT_OPTIONS_INIT;
  for (int n = take8(in) % 5; n > 0; n--) {
    int32_t small = (int32_t)(take8(in) % 6) - 1;
    switch (take8(in) % 16) {
      case 0: o->reduction = small; break;
      case 1: o->smoothing = small; break;
      case 2: o->empty_mean = small; break;
      case 3: o->masked_row = small; break;
      case 4: o->divergence = small; break;
      case 5: o->num_threads = (int32_t)odd_number(in) & ~(take8(in) & 1) ? small : -5; break;
      case 6: o->ignore_index = odd_number(in); break;
      case 7: o->label_smoothing = odd_double(in); break;
      case 8: o->temperature = odd_double(in); break;
      case 9: o->softcap = odd_double(in); break;
      case 10: o->focal_gamma = odd_double(in); break;
      case 11: o->poly_epsilon = odd_double(in); break;
      case 12: o->z_loss = odd_double(in); break;
      case 13: o->accuracy = small; break;
      case 14: o->reserved = small; break;
      default: o->reduction = XENT_REDUCTION_NONE; break;
    }
  }
}

static void choose_tensor(input *in, call *c, tensor t) {
  static const xent_dtype integers[] = {XENT_I64, XENT_I32, XENT_U8, XENT_I16, XENT_U16, XENT_I8, XENT_U32, XENT_U64};
  const tensor_spec *spec = &tensor_specs[t];
  extent extent = t == TARGETS ? form_specs[c->form].targets_extent : spec->extent;
  content content = t == TARGETS ? form_specs[c->form].targets_content : spec->content;
  xent_tensor x = {sizeof x, NULL, XENT_I64, 0, c->outer, 1, c->inner, 0, 0, 0};
  if (t == ROW_LOSS && c->form == BINARY) extent = WHOLE;
  if (extent == WHOLE) x.classes = c->classes;
  if (extent == EACH_CLASS) x.outer = x.inner = 1, x.classes = c->classes;
  if (extent == SINGLE) x.outer = x.inner = 1;
  if (extent >= SPARSE_PICKS) x.classes = c->classes < 3 ? c->classes : 3;
  if (content == FLOATING) x.dtype = c->type == F64 ? XENT_F64 : t == LOGITS ? (xent_dtype)c->type + 1 : XENT_F32;
  if (content == REAL) x.dtype = c->type == F64 ? XENT_F64 : XENT_F32;
  if (content == INTEGERS) x.dtype = integers[below(in, 8)];
  if (content == INDICES) x.dtype = integers[below(in, 2)];
  c->tensors[t] = in_layout(&x, &layouts[is_output(t) ? below(in, 11) : below(in, layout_count)]);
  c->tensors[t].struct_size = sizeof x;
  for (int n = once_in(in, 10) ? 1 + below(in, 3) : 0; n > 0; n--) mutate_tensor(in, &c->tensors[t]);
  /* Rows of nothing need no memory, and their losses would be added up for ever. */
  xent_tensor *given = &c->tensors[t];
  __int128 rows = (__int128)given->outer * given->inner;
  if (given->classes <= 0 && c->form != SOFTMAX && rows > 4096 && rows <= INT64_MAX / 8) given->outer = given->inner = 3;
  c->has[t] = true;
  place(in, c, t);
}

/* ---- What every call has to show -------------------------------------------------------------------------------- */

static void prepare_environment(void) {
  errno = 4711;
#if defined(__x86_64__)
  csr_before = __builtin_ia32_stmxcsr();
#endif
}

static void check_environment(void) {
  if (errno != 4711) fail("errno");
#if defined(__x86_64__)
  if (__builtin_ia32_stmxcsr() != csr_before) fail("the floating-point environment");
#endif
}

static void check_refusal(xent_status status, const char *function, const xent_error *error) {
  size_t length = strlen(function);
  if (status < XENT_OK || status > XENT_ERR_UNSUPPORTED || status == XENT_ERR_NO_MEMORY) fail("the status");
  if (status == XENT_OK) return;
  const char *text = xent_last_error();
  if (strncmp(text, function, length) || strncmp(text + length, ": ", 2) || !text[length + 2]) fail("the text");
  if (!error) return;
  if (error->status != status || strcmp(error->message, text)) fail("xent_error");
  if (status != XENT_ERR_TARGET && error->row != -1) fail("xent_error.row");
  if (status == XENT_ERR_TARGET && error->row < 0) fail("xent_error.row");
}

static void open_all(void) {
  __asan_unpoison_memory_region(&memory, sizeof memory);
  __asan_unpoison_memory_region(structs, sizeof structs);
}

/* What differs from before are elements of outputs. */
static void check_written(const call *c, xent_status status) {
  open_all();
  for (tensor t = REDUCED_LOSS; t < TENSORS && status == XENT_OK; t++) {
    const xent_tensor *x = &c->tensors[t];
    /* One that a shorter xent_outputs has not got may be anything. */
    if (!c->has[t] || !x->data || x->dtype < XENT_F32 || x->dtype > XENT_U64) continue;
    for (int64_t o = 0; o < x->outer; o++)
      for (int64_t k = 0; k < x->classes; k++)
        for (int64_t i = 0; i < x->inner; i++) {
          char *at = element_at(x, o, k, i);
          memcpy((char *)&before + (at - (char *)&memory), at, xent_dtype_size(x->dtype));
        }
  }
  if (status == XENT_OK) before.sums = memory.sums;
  if (!is_opened_same(&before, &memory)) fail(status == XENT_OK ? "a write beside an output" : "a write");
}

#include "calls_made.h"
