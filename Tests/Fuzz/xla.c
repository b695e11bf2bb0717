/* SPDX-License-Identifier: Apache-2.0
 *
 * The fuzzer of the handlers that XLA calls (xent_xla.h): call frames with any names, attributes, dtypes and shapes, of
 * buffers that are there, as XLA vouches for. Every buffer, list and string ends where AddressSanitizer guards. A call must
 *
 *   - give no error, or one with a text that begins with a function's name;
 *   - write nothing but results, and nothing at all when it is refused before the first batch;
 *   - leave errno and the floating-point environment as they were.
 */
#include "../../Sources/CXentSystem/xla_ffi.h"
#include "input.h"

#include <xent_xla.h>

#include <errno.h>
#ifndef WITHOUT_SANITIZER
#include <sanitizer/asan_interface.h>
#else
#define __asan_poison_memory_region(start, bytes) ((void)(start), (void)(bytes))
#define __asan_unpoison_memory_region(start, bytes) ((void)(start), (void)(bytes))
#endif
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFERS = 40, MOST_INPUTS = 26, ATTRIBUTES = 8, ROOM = 4096, MOST_BYTES = 2048, MOST_DIMS = 6, TEXT = 256 };

static char rooms[BUFFERS][ROOM] __attribute__((aligned(64))), before[BUFFERS][ROOM];
static size_t sizes[BUFFERS];
static int64_t dims[BUFFERS][16];
static char texts[ATTRIBUTES][TEXT];
static char message[400];

static void fail(const char *what) {
  fprintf(stderr, "wrong: %s; message \"%s\"\n", what, message);
  abort();
}

/* ---- What goes where -------------------------------------------------------------------------------------------- */

typedef struct XLA_FFI_Error *handler(struct XLA_FFI_CallFrame *);

static const struct {
  handler *call;
  const char *inputs, *outputs; /* that it can have, the first ones in this order */
  int needed;
} functions[] = {
    {xent_xla_softmax, "logits row_mask class_mask grad_loss gather",
     "lse probs log_probs grad_logits entropy max_logit argmax z_loss gathered top_indices top_log_probs", 1},
    {xent_xla_cross_entropy, "logits targets weight row_mask class_mask grad_loss gather target_probs",
     "loss row_loss grad_logits probs lse entropy target_log_prob target_rank argmax z_loss gathered top_indices", 2},
    {xent_xla_nll, "log_probs targets weight row_mask grad_loss", "loss row_loss grad_logits", 2},
    {xent_xla_binary_cross_entropy, "logits targets weight pos_weight row_mask grad_loss", "loss row_loss grad_logits", 2},
    {xent_xla_divergence, "student teacher row_mask class_mask grad_loss", "loss row_loss grad_logits", 2},
    {xent_xla_softmax_grad, "probs grad_probs", "grad_logits", 2},
    {xent_xla_log_softmax_grad, "log_probs grad_log_probs", "grad_logits", 2},
};
static const char *const whole = " logits log_probs student teacher probs grad_probs grad_log_probs grad_logits ",
                        *const per_class = " weight pos_weight class_mask ", *const several = " gather gathered top_indices top_log_probs ",
                        *const indices = " row_mask class_mask gather argmax target_rank top_indices ";

static bool is_in(const char *words, const char *name, size_t length) {
  char spaced[64];
  snprintf(spaced, sizeof spaced, " %.*s ", (int)length, name);
  return strstr(words, spaced);
}

/* The word of that number. */
static const char *word_of(const char *words, int number, size_t *length) {
  while (number-- > 0 && strchr(words, ' ')) words = strchr(words, ' ') + 1;
  *length = strcspn(words, " ");
  return words;
}

static int count_of(const char *words) {
  int count = 1;
  while ((words = strchr(words, ' '))) words++, count++;
  return count;
}

static size_t size_of(int32_t dtype) {
  static const size_t all[] = {1, 1, 1, 2, 4, 8, 1, 2, 4, 8, 2, 4, 8, 8, 1, 8, 2};
  return dtype >= 0 && dtype <= 16 ? all[dtype] : 8;
}

/* ---- Buffers ---------------------------------------------------------------------------------------------------- */

typedef struct {
  int leading, own, axis; /* numbers of dimensions of batches and of one call, and the class axis among the latter */
  int64_t batches[2], shape[4];
  int32_t dtype; /* of floating buffers */
} problem;

static int64_t odd_size(input *in) {
  /* No number of rows that could be: of nothing they need no memory, and are counted for ever. */
  static const int64_t some[] = {0, 1, 2, 3, 5, 17, INT64_C(1) << 60, INT64_C(1) << 62, INT64_MAX};
  return some[below(in, 9)];
}

static void make_buffer(input *in, const problem *p, xents_xla_buffer *b, int k, const char *name, size_t length, bool is_input) {
  int rank = 0;
  int64_t *d = dims[k];
  bool is_target = !strncmp(name, "targets", length), is_whole = is_in(whole, name, length) || (is_target && once_in(in, 3));
  bool is_index = is_in(indices, name, length) || (is_target && !is_whole);
  for (int n = 0; n < p->leading; n++) d[rank++] = is_input && once_in(in, 6) ? 1 : p->batches[n];
  for (int n = 0; n < p->own; n++) {
    bool is_class = n == p->axis;
    if (length == 4 && !strncmp(name, "loss", 4)) continue;
    if (is_in(per_class, name, length)) {
      if (is_class) d[rank++] = p->shape[n];
    } else if (!is_class || is_whole) {
      d[rank++] = p->shape[n];
    } else if (is_in(several, name, length) || !strncmp(name, "target_probs", length)) {
      d[rank++] = p->shape[n] < 2 ? p->shape[n] : 2;
    }
  }
  if (once_in(in, 30) && rank) d[below(in, rank)] = odd_size(in);
  if (once_in(in, 40)) rank = (int)below(in, MOST_DIMS);
  for (int n = 0; n < rank; n++)
    if (d[n] < 0) d[n] = 0;
  int32_t integer = once_in(in, 2) ? XENTS_XLA_S32 : XENTS_XLA_S64;
  *b = (xents_xla_buffer){.struct_size = sizeof *b, .dtype = is_index ? integer : p->dtype, .rank = rank};
  if (length > 5 && !strncmp(name + length - 5, "_mask", 5)) b->dtype = XENTS_XLA_PRED;
  if (once_in(in, 40)) b->dtype = (int32_t)below(in, 18);
  /* A buffer has all its elements, however its sizes come to be so few. */
  size_t bytes = size_of(b->dtype);
  for (int n = 0; n < rank; n++)
    if (!d[n]) bytes = 0;
  for (int n = 0; n < rank && bytes; n++) {
    if (d[n] > MOST_BYTES || bytes * (size_t)d[n] > MOST_BYTES) d[n] = 1;
    bytes *= (size_t)d[n];
  }
  sizes[k] = bytes;
  b->dims = d;
  b->data = bytes || once_in(in, 2) ? rooms[k] + 64 : NULL;
  __asan_unpoison_memory_region(rooms[k] + 64, bytes);
  for (size_t n = 0; n < bytes; n++) {
    uint64_t bits = drawn(in);
    bool is_low = n % size_of(b->dtype) == 0;
    rooms[k][64 + n] = (char)(is_index ? is_low ? bits % 3 : 0 : bits & 0x3F);
  }
  if (is_index && bytes && once_in(in, 20)) rooms[k][64 + take(in, 2) % bytes] = (char)take8(in);
  memcpy(before[k], rooms[k] + 64, bytes);
}

/* ---- Attributes ------------------------------------------------------------------------------------------------- */

static struct {
  int count;
  int32_t types[ATTRIBUTES];
  xents_xla_byte_span names[ATTRIBUTES], strings[ATTRIBUTES];
  xents_xla_scalar scalars[ATTRIBUTES];
  int64_t values[ATTRIBUTES];
  const xents_xla_byte_span *name_pointers[ATTRIBUTES];
  const void *pointers[ATTRIBUTES];
} attributes;

static void add_attribute(const char *name, int32_t type, int32_t dtype, int64_t value, const char *text) {
  int k = attributes.count++;
  attributes.types[k] = type;
  attributes.names[k] = (xents_xla_byte_span){name, strlen(name)};
  attributes.values[k] = value;
  attributes.scalars[k] = (xents_xla_scalar){dtype, &attributes.values[k]};
  attributes.strings[k] = (xents_xla_byte_span){text, text ? strlen(text) : 0};
  attributes.name_pointers[k] = &attributes.names[k];
  attributes.pointers[k] = type == XENTS_XLA_ATTR_STRING ? (const void *)&attributes.strings[k] : &attributes.scalars[k];
}

static void add_option(input *in) {
  static const struct {
    const char *name;
    int32_t dtype;
  } some[] = {{"reduction", XENTS_XLA_S32},   {"smoothing", XENTS_XLA_S32},       {"masked_row", XENTS_XLA_S32},
              {"empty_mean", XENTS_XLA_S32},  {"divergence", XENTS_XLA_S32},      {"num_threads", XENTS_XLA_S32},
              {"temperature", XENTS_XLA_F64}, {"label_smoothing", XENTS_XLA_F64}, {"z_loss", XENTS_XLA_F64},
              {"softcap", XENTS_XLA_F64},     {"ignore_index", XENTS_XLA_S64},    {"rank", XENTS_XLA_S64},
              {"axis", XENTS_XLA_S64},        {"accuracy", XENTS_XLA_S32},        {"wumpus", XENTS_XLA_S64}};
  static const double reals[] = {0, 1, 0.5, -1, 2, 1e300};
  int64_t n = below(in, 15), value = once_in(in, 8) ? odd_size(in) : below(in, 4);
  int32_t dtype = once_in(in, 16) ? (int32_t)below(in, 14) : some[n].dtype;
  if (n == 5) value = 1; /* the fuzzer may fork */
  if (dtype == XENTS_XLA_F64) memcpy(&value, &reals[below(in, 6)], sizeof value);
  add_attribute(some[n].name, once_in(in, 24) ? (int32_t)below(in, 6) : XENTS_XLA_ATTR_SCALAR, dtype, value, "logits");
}

/* ---- A call ----------------------------------------------------------------------------------------------------- */

static struct XLA_FFI_Error *create_error(xents_xla_error_create_args *arguments) {
  if (arguments->struct_size != sizeof *arguments || arguments->errc != XENTS_XLA_ERROR_INVALID_ARGUMENT) fail("an error's arguments");
  snprintf(message, sizeof message, "%s", arguments->message);
  return (struct XLA_FFI_Error *)(void *)message;
}

/* Writes the names of some of `all`, of which the first are needed, and makes their buffers. */
static int choose(input *in, const problem *p, const char *all, int needed, xents_xla_buffer *buffers, int first, char *names,
                  bool is_input) {
  int count = 0, most = count_of(all);
  size_t used = 0;
  for (int n = 0; n < most; n++) {
    size_t length;
    const char *name = word_of(all, n, &length);
    if (n >= needed ? !once_in(in, 4) : once_in(in, 100)) continue;
    make_buffer(in, p, &buffers[first + count], first + count, name, length, is_input);
    used += (size_t)snprintf(names + used, TEXT - used, "%s%.*s", count ? " " : "", (int)length, name);
    count++;
  }
  if (once_in(in, 60) && used) names[below(in, (int64_t)used)] = "x s"[below(in, 3)];
  if (once_in(in, 60) && used < TEXT - 8) strcpy(names + used, " lse");
  while (once_in(in, 200) && first + count < (is_input ? MOST_INPUTS : BUFFERS)) {
    make_buffer(in, p, &buffers[first + count], first + count, "lse", 3, is_input);
    count++;
  }
  return count;
}

static bool answers_metadata(handler *call) {
  xents_xla_metadata metadata = {.struct_size = sizeof metadata, .traits = 7};
  xents_xla_metadata_extension extension = {{sizeof extension, XENTS_XLA_EXTENSION_METADATA, NULL}, &metadata};
  xents_xla_call_frame frame = {.struct_size = sizeof frame, .extension_start = &extension.extension_base};
  return !call((struct XLA_FFI_CallFrame *)(void *)&frame) && metadata.api_version.minor_version == XENTS_XLA_API_MINOR && !metadata.traits;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  input in = open_input(bytes, count);
  int64_t which = below(&in, 7);
  handler *call = functions[which].call;
  static const int32_t floats[] = {XENTS_XLA_F32, XENTS_XLA_F64, XENTS_XLA_F16, XENTS_XLA_BF16};
  problem p = {.leading = (int)below(&in, 3), .own = 1 + (int)below(&in, 3), .dtype = floats[below(&in, 4)]};
  p.axis = (int)below(&in, p.own);
  for (int n = 0; n < p.leading; n++) p.batches[n] = below(&in, 4);
  for (int n = 0; n < p.own; n++) p.shape[n] = once_in(&in, 30) ? odd_size(&in) : 1 + below(&in, 4);
  if (take8(&in) == 255 && !answers_metadata(call)) fail("the metadata");

  static xents_xla_buffer buffers[BUFFERS];
  const xents_xla_buffer *pointers[BUFFERS];
  __asan_poison_memory_region(rooms, sizeof rooms);
  memset(texts[0], 0, 2 * TEXT);
  message[0] = 0;
  attributes.count = 0;
  int inputs = choose(&in, &p, functions[which].inputs, functions[which].needed, buffers, 0, texts[0], true);
  int outputs = choose(&in, &p, functions[which].outputs, 1, buffers, inputs, texts[1], false);
  if (!once_in(&in, 100)) add_attribute("inputs", XENTS_XLA_ATTR_STRING, 0, 0, texts[0]);
  if (!once_in(&in, 100)) add_attribute("outputs", XENTS_XLA_ATTR_STRING, 0, 0, texts[1]);
  if (p.leading || once_in(&in, 2)) add_attribute("rank", XENTS_XLA_ATTR_SCALAR, XENTS_XLA_S64, p.own, NULL);
  if (p.axis != p.own - 1 || once_in(&in, 2)) add_attribute("axis", XENTS_XLA_ATTR_SCALAR, XENTS_XLA_S64, p.own - p.axis, NULL);
  for (int64_t n = below(&in, 4); n > 0; n--) add_option(&in);
  for (int k = 0; k < inputs + outputs; k++) pointers[k] = &buffers[k];

  xents_xla_api api = {.struct_size = sizeof api, .error_create = create_error};
  xents_xla_call_frame frame = {.struct_size = sizeof frame, .api = once_in(&in, 100) ? NULL : &api, .stage = XENTS_XLA_STAGE_EXECUTE};
  if (once_in(&in, 100)) frame.stage = (int32_t)below(&in, 3);
  frame.args = (xents_xla_values){.struct_size = sizeof frame.args, .size = inputs, .values = pointers};
  frame.rets = (xents_xla_values){.struct_size = sizeof frame.rets, .size = outputs, .values = pointers + inputs};
  frame.attrs = (xents_xla_attrs){.struct_size = sizeof frame.attrs, .size = attributes.count, .types = attributes.types,
                                  .names = attributes.name_pointers, .attrs = attributes.pointers};
  errno = 4711;
#if defined(__x86_64__)
  unsigned csr = __builtin_ia32_stmxcsr();
#endif
  struct XLA_FFI_Error *error = call((struct XLA_FFI_CallFrame *)(void *)&frame);
#if defined(__x86_64__)
  if (csr != __builtin_ia32_stmxcsr()) fail("the floating-point environment");
#endif
  if (errno != 4711) fail("errno");
  if (error && (strncmp(message, "xent_", 5) || !strstr(message, ": "))) fail("the text");
  /* Of several batches the first may have been right. */
  bool has_batches = p.leading > 0;
  for (int k = 0; k < attributes.count; k++)
    has_batches |= !strcmp(attributes.names[k].ptr, "rank") && attributes.values[k] != buffers[0].rank;
  for (int k = 0; k < inputs + outputs; k++)
    if ((k < inputs || (error && !has_batches)) && memcmp(before[k], rooms[k] + 64, sizes[k])) fail("a write");
  return 0;
}
