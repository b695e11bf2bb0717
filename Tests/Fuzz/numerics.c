/* SPDX-License-Identifier: Apache-2.0
 *
 * The numerics fuzzer: right calls of every function, dtype and option on any values, each output of which is compared
 * with reference.c, and with itself in another layout.
 */
#include "input.h"
#include "reference.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PLACE = 1 << 20 };
static char places[2][TENSORS][PLACE] __attribute__((aligned(64)));

/* Of the call, contiguous: for the reference, for the second run, and for what is printed. */
static xent_tensor inputs[TENSORS];

static void fail(const call *c, const char *what) {
  const xent_options *o = &c->options;
  fprintf(stderr, "wrong answer: %s\n", what);
  fprintf(stderr, "  (%d, %d, %d); reduction %d, ignore_index %d, masked_row %d, divergence %d, smoothing %d, eps %g, ",
          (int)c->outer, (int)c->classes, (int)c->inner, (int)o->reduction, (int)o->ignore_index, (int)o->masked_row,
          (int)o->divergence, (int)o->smoothing, o->label_smoothing);
  fprintf(stderr, "temperature %g, softcap %g, gamma %g, poly %g, z-loss %g, accuracy %d\n", o->temperature,
          o->softcap, o->focal_gamma, o->poly_epsilon, o->z_loss, (int)o->accuracy);
  for (tensor t = 0; t < REDUCED_LOSS; t++) {
    const xent_tensor *x = &inputs[t];
    if (!c->has[t]) continue;
    fprintf(stderr, "  %s, dtype %d:", tensor_name(c->form, t), (int)x->dtype);
    for (int64_t n = 0; n < tensor_count(x) && n < 60 + 3000 * !!getenv("ALL"); n++)
      fprintf(stderr, " %.17g", load_element(x, n / (x->classes * x->inner), n / x->inner % x->classes, n % x->inner));
    fputc('\n', stderr);
  }
  abort();
}

/* ---- Values ----------------------------------------------------------------------------------------------------- */

static double special(input *in, xent_dtype type) {
  static const double common[] = {0, -0.0, INFINITY, -INFINITY, NAN, 1, -1, 88.72283, -103.97, 709.78, -745.13, 0.5};
  static const double largest[] = {[XENT_F32] = 0x1.fffffep127, [XENT_F64] = 0x1.fffffffffffffp1023, [XENT_F16] = 65504,
                                   [XENT_BF16] = 0x1.fep127};
  int64_t n = below(in, 16);
  return n < 12 ? common[n] : n == 12 ? largest[type] : n == 13 ? -largest[type] : n == 14 ? 1e-45 : -3e-39;
}

static double float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* A logit. The mode is one of the row's: small, of any magnitude, about a common offset, or of a few values. */
static double logit(input *in, int mode, double offset, xent_dtype type) {
  switch (mode) {
    case 0: return (int8_t)take8(in) / 8.0;
    case 1: return float_of((uint32_t)take(in, 2) << 16);
    case 2: return offset + (int8_t)take8(in) / 64.0;
    case 3: return special(in, type);
    case 4: return once_in(in, 6) ? special(in, type) : (int16_t)take(in, 2) / 256.0;
    default: return (int16_t)take(in, 2) / 4.0;
  }
}

static double weight(input *in) { return once_in(in, 8) ? 0 : (1 + take8(in)) / 32.0; }

/* Of a tensor that is not the logits. */
static double other(input *in, tensor t, form form) {
  if (t == WEIGHT || t == POS_WEIGHT) return weight(in);
  if (t == GRAD_LOSS) return (int8_t)take8(in) / 16.0;
  if (form >= LOG_SOFTMAX_GRAD) return (int8_t)take8(in) / 4.0;
  return take8(in) / 255.0;
}

static void fill(input *in, const call *c, tensor t) {
  const xent_tensor *x = &c->tensors[t];
  double offset = (int16_t)take(in, 2) * 3.0;
  bool is_logits = t == LOGITS || (t == TARGETS && c->form == DIVERGENCE);
  for (int64_t o = 0; o < x->outer; o++)
    for (int64_t i = 0; i < x->inner; i++) {
      int mode = (int)below(in, 6);
      for (int64_t k = 0; k < x->classes; k++) {
        if (is_floating(x->dtype)) {
          double value = is_logits ? logit(in, mode, offset, x->dtype) : other(in, t, c->form);
          if (t == LOGITS && c->form == LOG_SOFTMAX_GRAD) value = isnan(value) ? value : -fabs(value);
          if (t == LOGITS && c->form == SOFTMAX_GRAD) value = take8(in) / 255.0;
          store_element(x, o, k, i, value);
        } else if (t == ROW_MASK || t == CLASS_MASK) {
          store_integer(x, o, k, i, once_in(in, 4) ? 0 : 1);
        } else {
          bool ignores = t == TARGETS && (once_in(in, 8) || !c->classes);
          store_integer(x, o, k, i, ignores ? c->options.ignore_index : below(in, c->classes));
        }
      }
    }
}

/* ---- Calls ------------------------------------------------------------------------------------------------------ */

static double positive(input *in) { return (1 + take8(in)) / 16.0; }

static void choose_options(input *in, call *c) {
  uint32_t bits = (uint32_t)take(in, 2);
  xent_options *o = &c->options;
  form f = c->form;
  *o = (xent_options)XENT_OPTIONS_INIT;
  o->reduction = (int32_t)(bits & 3);
  o->empty_mean = (int32_t)(bits >> 2 & 1);
  if (f == CE_INDEX || f == CE_SPARSE || f == NLL)
    if (bits & 1 << 3) o->ignore_index = below(in, c->classes + 1);
  if (OF_LOGITS >> f & 1) {
    o->masked_row = (int32_t)(bits >> 4 & 1);
    if (bits & 1 << 5) o->temperature = positive(in);
    if (bits & 1 << 6) o->softcap = 4 * positive(in);
  }
  if (f == CE_INDEX) o->smoothing = (int32_t)(bits >> 7 & 1);
  if (CROSS_ENTROPIES >> f & 1 && bits & 1 << 8) o->label_smoothing = take8(in) / 255.0;
  else if (f == CE_INDEX && bits & 1 << 9) o->focal_gamma = take8(in) / 32.0, o->poly_epsilon = take8(in) / 64.0 - 1;
  if (WITH_PROBS >> f & 1 && bits & 1 << 10) o->z_loss = take8(in) / 1024.0;
  if (WITH_OPTIONS >> f & 1) o->accuracy = (int32_t)(bits >> 12 & 1);
  if (f == DIVERGENCE) o->divergence = (int32_t)(bits >> 11 & 3);
}

static xent_dtype floating(input *in, dtype type) {
  static const xent_dtype narrow[] = {XENT_F32, XENT_F16, XENT_BF16};
  return type == F64 ? XENT_F64 : narrow[below(in, 3)];
}

static void choose_tensor(input *in, call *c, tensor t, const layout *l) {
  static const xent_dtype integers[] = {XENT_I64, XENT_I32, XENT_U8, XENT_I16, XENT_U16, XENT_I8, XENT_U32, XENT_U64};
  const tensor_spec *spec = &tensor_specs[t];
  extent extent = t == TARGETS ? form_specs[c->form].targets_extent : spec->extent;
  content content = t == TARGETS ? form_specs[c->form].targets_content : spec->content;
  xent_tensor x = {sizeof x, NULL, XENT_I64, 0, c->outer, 1, c->inner, 0, 0, 0};
  if (t == ROW_LOSS && c->form == BINARY) extent = WHOLE;
  if (extent == WHOLE) x.classes = c->classes;
  if (extent == EACH_CLASS) x.outer = x.inner = 1, x.classes = c->classes;
  if (extent == SINGLE) x.outer = x.inner = 1;
  if (extent == SPARSE_PICKS) x.classes = t == TARGETS ? 1 + below(in, 4) : c->tensors[TARGETS].classes;
  if (extent == GATHER_PICKS) x.classes = t == GATHER ? (c->classes ? below(in, 4) : 0) : c->tensors[GATHER].classes;
  if (extent == TOP_PICKS) x.classes = c->classes < 5 ? c->classes : 5;
  if (content == FLOATING) x.dtype = t == LOGITS ? (xent_dtype)c->type + 1 : floating(in, c->type);
  if (content == REAL) x.dtype = c->type == F64 ? XENT_F64 : XENT_F32;
  if (content == INTEGERS) x.dtype = integers[below(in, 8)];
  if (content == INDICES) x.dtype = integers[below(in, 2)];
  /* What holds ignore_index and every class. */
  bool is_index = content == INTEGERS && (t == TARGETS || t == GATHER);
  if (is_index && (c->classes > 100 || c->options.ignore_index < 0)) x.dtype = integers[below(in, 2)];
  c->tensors[t] = in_layout(&x, l);
  if (span_bytes(&c->tensors[t]) > PLACE - 64) abort();
  /* Every address that its type may have. */
  size_t shift = xent_dtype_size(x.dtype) * (size_t)below(in, 8);
  place_at(&c->tensors[t], places[0][t] + shift);
  c->has[t] = true;
}

static finished_call finish(const call *c) {
  finished_call f = {.form = c->form, .type = c->type, .options = c->options};
  for (tensor t = 0; t < TENSORS; t++)
    if (c->has[t]) f.tensors[t] = is_output(t) ? &c->tensors[t] : &inputs[t];
  if (!c->has_sums) return f;
  if (c->form == CE_INDEX) f.correct = &c->sums.correct;
  f.rows_counted = &c->sums.rows_counted;
  f.loss_sum = &c->sums.loss_sum;
  f.weight_sum = &c->sums.weight_sum;
  return f;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  input in = open_input(bytes, count);
  call c = {.form = (form)below(&in, FORMS)};
  uint8_t shape = take8(&in), size = take8(&in), how = take8(&in);
  uint32_t wanted = (uint32_t)take(&in, 2);
  c.type = (dtype)(shape & 3);
  c.outer = 1 + (shape >> 2 & 3) % 3;
  c.inner = 1 + (shape >> 4 & 3) % 3;
  c.classes = size < 250 ? size % 21 : size < 254 ? 60 + size % 5 + take8(&in) % 140 : 2040 + take8(&in) % 20;
  if (c.classes > 300) c.outer = c.inner = 1;
  const layout *l = &layouts[how % 11];
  choose_options(&in, &c);
  c.has_sums = WITH_LOSS >> c.form & 1 && how & 64;
  for (tensor t = 0; t < TENSORS; t++) {
    bool is_needed = t <= TARGETS || (t == TARGET_PROBS) || (t == GRAD_LOGITS && c.form >= LOG_SOFTMAX_GRAD);
    bool is_chosen = is_output(t) ? wanted >> (t - REDUCED_LOSS) & 1 : once_in(&in, 3);
    if (!is_taken(c.form, t) || !(is_needed || is_chosen)) continue;
    if (t == REDUCED_LOSS && c.options.reduction == XENT_REDUCTION_NONE) continue;
    if (t == GATHERED && !c.has[GATHER]) continue;
    choose_tensor(&in, &c, t, &layouts[is_output(t) ? how % 11 : (how + t * (how >> 4)) % 15]);
    if (!is_output(t)) fill(&in, &c, t);
  }
  if (how & 128 && c.has[GRAD_LOGITS] && c.form != LOG_SOFTMAX_GRAD && c.form != SOFTMAX_GRAD) {
    /* In place. */
    choose_tensor(&in, &c, GRAD_LOGITS, l);
    c.tensors[LOGITS] = c.tensors[GRAD_LOGITS];
    c.tensors[LOGITS].dtype = c.tensors[GRAD_LOGITS].dtype = (xent_dtype)c.type + 1;
    place_at(&c.tensors[LOGITS], places[0][LOGITS]);
    c.tensors[GRAD_LOGITS].data = c.tensors[LOGITS].data;
    fill(&in, &c, LOGITS);
  }
  for (tensor t = 0; t < REDUCED_LOSS; t++) {
    if (!c.has[t]) continue;
    inputs[t] = in_layout(&c.tensors[t], &layouts[0]);
    place_at(&inputs[t], places[1][t]);
    copy_elements(&inputs[t], &c.tensors[t]);
  }
  xent_error error = {.struct_size = sizeof error};
  if (run_call(&c, &error) != XENT_OK) fail(&c, error.message);
  finished_call done = finish(&c);
  /* The divergence of rows that are nearly the same is what is left of terms that cancel. */
  bool is_wide = c.type == F64 || c.form == DIVERGENCE;
  const char *problem = is_wide ? mismatch_long_double(&done) : mismatch_double(&done);
  if (problem) fail(&c, problem);

  if (how & 32) { /* the same bits from contiguous tensors */
    call again = c;
    for (tensor t = 0; t < TENSORS; t++) {
      if (!c.has[t]) continue;
      again.tensors[t] = is_output(t) ? in_layout(&c.tensors[t], &layouts[0]) : inputs[t];
      if (is_output(t)) place_at(&again.tensors[t], places[1][t]);
    }
    if (run_call(&again, &error) != XENT_OK) fail(&c, error.message);
    problem = different_output(&c, &again);
    if (problem) fail(&c, problem);
  }
  return 0;
}
