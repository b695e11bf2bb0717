/* SPDX-License-Identifier: Apache-2.0
 *
 * Structs of other versions. A shorter one has the defaults in the fields it lacks, and nothing behind it is read: it
 * ends where the memory does. A longer one is taken when what the library does not know is zero (otherwise: refusals.txt).
 * And xent_error: as much of it as the caller has, by every call.
 */
#include "check.h"
#include "descriptors.h"

#include <sys/mman.h>
#include <unistd.h>

#define END(type, field) (offsetof(type, field) + sizeof(((type *)0)->field))

/* Two pages, of which the second is without access. */
static char *page;
static size_t page_size;

static void make_page(void) {
  page_size = (size_t)sysconf(_SC_PAGESIZE);
  page = mmap(NULL, 2 * page_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(page != MAP_FAILED && !mprotect(page + page_size, page_size, PROT_NONE));
}

/* Where a struct of this size ends with the memory, but for what keeps it aligned; no byte of that is 0. */
static char *place(size_t size) {
  size_t aligned = (size + sizeof(size_t) - 1) / sizeof(size_t) * sizeof(size_t);
  memset(page, UNTOUCHED, page_size);
  return page + page_size - aligned;
}

/* A copy of a struct's first bytes, of which there are no more; struct_size says so. */
static void *cut(const void *whole, size_t size) {
  char *at = place(size);
  memcpy(at, whole, size);
  memcpy(at, &size, sizeof size < size ? sizeof size : size);
  return at;
}

/* A copy with `tail` bytes more, which are 0 but for one. */
static void *lengthen(const void *whole, size_t known, size_t tail, size_t nonzero) {
  size_t size = known + tail;
  char *at = place(size);
  memcpy(at, whole, known);
  memset(at + known, 0, tail);
  if (nonzero < tail) at[known + nonzero] = 1;
  memcpy(at, &size, sizeof size);
  return at;
}

/* ---- Options ---------------------------------------------------------------------------------------------------- */

static const size_t option_ends[] = {
    sizeof(size_t),
    END(xent_options, reduction),
    END(xent_options, smoothing),
    END(xent_options, empty_mean),
    END(xent_options, masked_row),
    END(xent_options, divergence),
    END(xent_options, num_threads),
    END(xent_options, ignore_index),
    END(xent_options, label_smoothing),
    END(xent_options, temperature),
    END(xent_options, softcap),
    END(xent_options, focal_gamma),
    END(xent_options, poly_epsilon),
    END(xent_options, z_loss),
    END(xent_options, weight),
    END(xent_options, pos_weight),
    END(xent_options, row_mask),
    END(xent_options, class_mask),
    END(xent_options, target_probs),
    END(xent_options, grad_loss),
    END(xent_options, gather),
    END(xent_options, accuracy),
    END(xent_options, reserved),
};

/* Options none of which has its default, as far as they go together. */
static call make_full_call(form form, dtype type) {
  const char *name = form == NLL          ? "rows masked"
                     : form == BINARY     ? "weights of elements"
                     : form == DIVERGENCE ? "Jensen-Shannon"
                     : form == SOFTMAX    ? "z-loss"
                                          : "everything";
  call c = make_call(form, type, 5, 9, 3, variant_named(name), false, 5);
  c.has[REDUCED_LOSS] = false;
  return c;
}

static void check_shorter_options(form form, dtype type) {
  call expected = make_full_call(form, type), c = make_full_call(form, type);
  xent_options whole, base = XENT_OPTIONS_INIT;
  xent_outputs outputs, other_outputs;
  /* The defaults have no gather, and what goes without target_probs is no sparse target. */
  bool is_sparse = form == CE_SPARSE;
  for (size_t k = 0; k < sizeof option_ends / sizeof *option_ends; k++) {
    size_t size = option_ends[k];
    if (is_sparse && size < END(xent_options, target_probs)) continue;
    c.has[GATHERED] = expected.has[GATHERED] = is_taken(form, GATHER) && size >= END(xent_options, gather);
    connect(&expected, &whole, &outputs);
    xent_options filled = base;
    memcpy(&filled, &whole, size);
    filled.struct_size = sizeof filled;
    connect(&c, &whole, &other_outputs);
    /* Targets are ignored at -7 there; with the default, their rows would be wrong. */
    xent_status status = call_with(&expected, &filled, &outputs, NULL);
    xent_status shorter = call_with(&c, cut(&whole, size), &other_outputs, NULL);
    const char *different = status == XENT_OK ? different_output(&c, &expected) : NULL;
    because("status %d, %d; %s; %s", (int)shorter, (int)status, different ? different : "", xent_last_error());
    CHECK(status == shorter && !different, "%s: options of %zu bytes", call_label(&c), size);
    if (size < END(xent_options, ignore_index)) continue;
    CHECK(status == XENT_OK, "%s: options of %zu bytes are right", call_label(&c), size);
  }
  free_call(&expected);
  free_call(&c);
}

static void check_no_options(form form, dtype type) {
  call expected = make_call(form, type, 5, 9, 3, variants, false, 5);
  call c = make_call(form, type, 5, 9, 3, variants, false, 5);
  xent_options options;
  xent_outputs outputs;
  expected.has[GATHER] = expected.has[GATHERED] = c.has[GATHER] = c.has[GATHERED] = false;
  if (form == CE_SPARSE) return free_call(&expected), free_call(&c);
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  connect(&c, &options, &outputs);
  xent_status status = call_with(&c, NULL, &outputs, NULL);
  const char *different = status == XENT_OK ? different_output(&c, &expected) : xent_last_error();
  because("%s", different ? different : "");
  CHECK(!different, "%s: options NULL are the defaults", call_label(&c));
  options = (xent_options)XENT_OPTIONS_INIT;
  status = call_with(&c, &options, &outputs, NULL);
  different = status == XENT_OK ? different_output(&c, &expected) : xent_last_error();
  because("%s", different ? different : "");
  CHECK(!different, "%s: XENT_OPTIONS_INIT has the defaults", call_label(&c));
  free_call(&expected);
  free_call(&c);
}

/* ---- Outputs and tensors ---------------------------------------------------------------------------------------- */

static void check_shorter_outputs(form form, dtype type) {
  call expected = make_call(form, type, 5, 9, 3, variants, false, 5);
  call c = make_call(form, type, 5, 9, 3, variants, false, 5);
  xent_options options;
  xent_outputs outputs;
  const size_t sizes[] = {sizeof(size_t), END(xent_outputs, correct), END(xent_outputs, loss_sum), sizeof outputs};
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  for (size_t k = 0; k < TENSORS - REDUCED_LOSS + sizeof sizes / sizeof *sizes; k++) {
    size_t first = sizeof sizes / sizeof *sizes;
    size_t size = k < first ? sizes[k] : tensor_specs[REDUCED_LOSS + k - first].offset + sizeof(void *);
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++) {
      c.has[t] = expected.has[t];
      if (c.blocks[t]) memset(c.blocks[t], UNTOUCHED, c.block_bytes[t]);
    }
    connect(&c, &options, &outputs);
    xent_status status = call_with(&c, &options, cut(&outputs, size), NULL);
    call missing = c;
    missing.has_sums = false;
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++) {
      bool is_there = tensor_specs[t].offset + sizeof(void *) <= size;
      missing.has[t] = c.has[t] && !is_there;
      c.has[t] &= is_there;
    }
    bool has_sums = c.has_sums;
    c.has_sums &= size == sizeof outputs;
    const char *different = status == XENT_OK ? different_output(&c, &expected) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: outputs of %zu bytes", call_label(&c), size);
    CHECK(is_nothing_written(&missing), "%s: outputs of %zu bytes and no others", call_label(&c), size);
    c.has_sums = has_sums;
  }
  free_call(&expected);
  free_call(&c);
}

/* A tensor without its last field, which is nobody's business where inner is 1; and one of a newer version. */
static void check_shorter_tensor(form form, dtype type) {
  call expected = make_call(form, type, 5, 9, 1, variants, false, 5);
  REQUIRE(run_call(&expected, NULL) == XENT_OK);
  for (tensor t = LOGITS; t < TENSORS; t++) {
    call c = make_call(form, type, 5, 9, 1, variants, false, 5);
    xent_options options;
    xent_outputs outputs;
    if (!c.has[t] || (t <= TARGETS || form >= LOG_SOFTMAX_GRAD)) {
      free_call(&c);
      continue;
    }
    connect(&c, &options, &outputs);
    void *pointer = cut(&c.tensors[t], offsetof(xent_tensor, inner_stride));
    memcpy((is_output(t) ? (char *)&outputs : (char *)&options) + tensor_specs[t].offset, &pointer, sizeof pointer);
    xent_status status = call_with(&c, &options, &outputs, NULL);
    const char *different = status == XENT_OK ? different_output(&c, &expected) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: %s without inner_stride", call_label(&c), tensor_name(form, t));

    pointer = lengthen(&c.tensors[t], sizeof(xent_tensor), 24, 24);
    memcpy((is_output(t) ? (char *)&outputs : (char *)&options) + tensor_specs[t].offset, &pointer, sizeof pointer);
    status = call_with(&c, &options, &outputs, NULL);
    because("%s", xent_last_error());
    CHECK(status == XENT_OK, "%s: %s of a newer version", call_label(&c),
          tensor_name(form, t));
    free_call(&c);
  }
  free_call(&expected);
}

/* ---- xent_error ------------------------------------------------------------------------------------------------- */

static void check_error(form form) {
  static const size_t sizes[] = {0, 1, sizeof(size_t) - 1, sizeof(size_t), END(xent_error, status),
                                 END(xent_error, reserved), END(xent_error, row), END(xent_error, value),
                                 END(xent_error, value) + 10, sizeof(xent_error), sizeof(xent_error) + 24};
  call c = make_call(form, F32, 5, 9, 3, variants, false, 5);
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    for (int fails = 1; fails >= 0; fails--) {
      struct {
        xent_error error;
        char behind[24];
      } large, before;
      memset(&large, UNTOUCHED, sizeof large);
      large.error.struct_size = sizes[k];
      before = large;
      c.tensors[LOGITS].reserved = fails;
      size_t room = sizes[k] < sizeof large.error ? sizes[k] : sizeof large.error;
      size_t readable = sizes[k] < sizeof(size_t) ? sizeof(size_t) : sizes[k];
      char *at = memcpy(place(readable), &large, readable);
      xent_status status = run_call(&c, (xent_error *)(void *)at);
      memcpy(&large, at, readable);
      bool right = status == (fails ? XENT_ERR_OPTION : XENT_OK) && large.error.struct_size == sizes[k];
      if (room >= END(xent_error, status)) right &= large.error.status == status;
      if (room >= END(xent_error, row)) right &= large.error.row == -1;
      if (room >= END(xent_error, value)) right &= large.error.value == 0;
      size_t text = room > offsetof(xent_error, message) ? room - offsetof(xent_error, message) : 0;
      right &= !strncmp(large.error.message, fails ? xent_last_error() : "", text) || !text;
      right &= !memcmp((char *)&large + room, (char *)&before + room, sizeof large - room);
      because("status %d, %d; row %lld; \"%.40s\"", (int)status, (int)large.error.status, (long long)large.error.row,
              large.error.message);
      CHECK(right, "%s: an xent_error of %zu bytes, %s", call_label(&c), sizes[k], fails ? "an error" : "none");
    }
  free_call(&c);
}

int main(void) {
  alarm(120);
  make_page();
  for (form form = 0; form < FORMS; form++) {
    check_error(form);
    for (dtype type = F32; type < DTYPES; type++) {
      if (form >= LOG_SOFTMAX_GRAD) continue;
      check_no_options(form, type);
      check_shorter_options(form, type);
      check_shorter_outputs(form, type);
      check_shorter_tensor(form, type);
    }
  }
  return check_summary();
}
