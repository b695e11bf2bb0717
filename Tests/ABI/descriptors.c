/* SPDX-License-Identifier: Apache-2.0 */
#include "descriptors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTION(name, extent, content, forms) {#name, extent, content, offsetof(xent_options, name), forms}
#define OUTPUT(name, extent, content, forms) {#name, extent, content, offsetof(xent_outputs, name), forms}

const tensor_spec tensor_specs[TENSORS] = {
    [LOGITS] = {NULL, WHOLE, FLOATING, 0, (1 << FORMS) - 1},
    [TARGETS] = {NULL, WHOLE, FLOATING, 0, ((1 << FORMS) - 1) & ~(1 << SOFTMAX)},
    [WEIGHT] = OPTION(weight, EACH_CLASS, FLOATING, CROSS_ENTROPIES | 1 << NLL | 1 << BINARY),
    [POS_WEIGHT] = OPTION(pos_weight, EACH_CLASS, FLOATING, 1 << BINARY),
    [ROW_MASK] = OPTION(row_mask, EACH_ROW, INTEGERS, WITH_OPTIONS),
    [CLASS_MASK] = OPTION(class_mask, EACH_CLASS, INTEGERS, OF_LOGITS),
    [TARGET_PROBS] = OPTION(target_probs, SPARSE_PICKS, FLOATING, 1 << CE_SPARSE),
    [GRAD_LOSS] = OPTION(grad_loss, EACH_ROW, FLOATING, WITH_OPTIONS),
    [GATHER] = OPTION(gather, GATHER_PICKS, INTEGERS, WITH_PROBS),
    [REDUCED_LOSS] = OUTPUT(loss, SINGLE, REAL, WITH_LOSS),
    [ROW_LOSS] = OUTPUT(row_loss, EACH_ROW, REAL, WITH_LOSS),
    [GRAD_LOGITS] = OUTPUT(grad_logits, WHOLE, FLOATING, (1 << FORMS) - 1),
    [PROBS] = OUTPUT(probs, WHOLE, FLOATING, WITH_PROBS),
    [LOG_PROBS] = OUTPUT(log_probs, WHOLE, FLOATING, WITH_PROBS),
    [LSE] = OUTPUT(lse, EACH_ROW, REAL, WITH_PROBS),
    [ENTROPY] = OUTPUT(entropy, EACH_ROW, REAL, WITH_PROBS),
    [MAX_LOGIT] = OUTPUT(max_logit, EACH_ROW, REAL, WITH_PROBS),
    [TARGET_LOG_PROB] = OUTPUT(target_log_prob, EACH_ROW, REAL, 1 << CE_INDEX),
    [Z_LOSS] = OUTPUT(z_loss, EACH_ROW, REAL, WITH_PROBS),
    [ARGMAX] = OUTPUT(argmax, EACH_ROW, INDICES, WITH_PROBS),
    [TARGET_RANK] = OUTPUT(target_rank, EACH_ROW, INDICES, 1 << CE_INDEX),
    [TOP_INDICES] = OUTPUT(top_indices, TOP_PICKS, INDICES, WITH_PROBS),
    [TOP_LOG_PROBS] = OUTPUT(top_log_probs, TOP_PICKS, REAL, WITH_PROBS),
    [GATHERED] = OUTPUT(gathered, GATHER_PICKS, REAL, WITH_PROBS),
};

const form_spec form_specs[FORMS] = {
    [SOFTMAX] = {"xent_softmax", "xent_softmax", "logits", NULL, WHOLE, FLOATING},
    [CE_INDEX] = {"xent_cross_entropy", "xent_cross_entropy (index)", "logits", "targets", EACH_ROW, INTEGERS},
    [CE_SPARSE] = {"xent_cross_entropy", "xent_cross_entropy (sparse)", "logits", "targets", SPARSE_PICKS, INTEGERS},
    [CE_PROBS] = {"xent_cross_entropy", "xent_cross_entropy (probs)", "logits", "targets", WHOLE, FLOATING},
    [NLL] = {"xent_nll", "xent_nll", "log_probs", "targets", EACH_ROW, INTEGERS},
    [BINARY] = {"xent_binary_cross_entropy", "xent_binary_cross_entropy", "logits", "targets", WHOLE, FLOATING},
    [DIVERGENCE] = {"xent_divergence", "xent_divergence", "student", "teacher", WHOLE, FLOATING},
    [LOG_SOFTMAX_GRAD] = {"xent_log_softmax_grad", "xent_log_softmax_grad", "log_probs", "grad_log_probs", WHOLE,
                          FLOATING},
    [SOFTMAX_GRAD] = {"xent_softmax_grad", "xent_softmax_grad", "probs", "grad_probs", WHOLE, FLOATING},
};

/* reduction, smoothing, empty_mean, masked_row, divergence; ignore_index; label_smoothing, temperature, softcap,
 * focal_gamma, poly_epsilon, z_loss */
#define SET(reduction, smoothing, empty, masked, divergence, ignore, eps, temperature, cap, gamma, poly, z)            \
  {sizeof(xent_options), XENT_REDUCTION_##reduction, XENT_SMOOTHING_##smoothing, XENT_##empty, XENT_##masked,          \
   XENT_##divergence, 0, ignore, eps, temperature, cap, gamma, poly, z, NULL, NULL, NULL, NULL, NULL, NULL, NULL,      \
   XENT_ACCURACY_FAITHFUL, 0}
#define WEIGHTS (1 << WEIGHT | 1 << POS_WEIGHT)

const variant variants[] = {
    {"defaults", (1 << FORMS) - 1, 0, 0, SET(MEAN, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 0, 0, 0, 0)},
    {"weights, none", WITH_LOSS, WEIGHTS, 0, SET(NONE, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 0, 0, 0, 0)},
    {"weights, mean", WITH_LOSS, WEIGHTS, 0, SET(MEAN, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 0, 0, 0, 0)},
    {"weights of elements", 1 << BINARY, WEIGHTS, WEIGHTS,
     SET(MEAN_ROWS, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 0, 0, 0, 0)},
    {"sum, upstream", WITH_OPTIONS, 1 << GRAD_LOSS, 0, SET(SUM, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 0, 0, 0, 0)},
    {"rows masked", WITH_OPTIONS, 1 << ROW_MASK, 0, SET(MEAN_ROWS, WEIGHTED, ZERO, NAN, KL, -100, 0, 1, 0, 0, 0, 0)},
    {"masked rows ZERO", OF_LOGITS, 1 << ROW_MASK | 1 << GRAD_LOSS | WEIGHTS, 0,
     SET(MEAN, WEIGHTED, ZERO, ZERO, KL, -100, 0, 1, 0, 0, 0, 0)},
    {"z of x", OF_LOGITS, 1 << CLASS_MASK, 0, SET(MEAN, WEIGHTED, NAN, NAN, KL, -100, 0, 0.7, 5, 0, 0, 0)},
    {"temperature", OF_LOGITS, 0, 0, SET(SUM, WEIGHTED, NAN, NAN, KL, -100, 0, 3, 0, 0, 0, 0)},
    {"z-loss", WITH_PROBS, 1 << ROW_MASK | 1 << GRAD_LOSS, 0,
     SET(MEAN, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 0, 0, 0, 0.01)},
    {"smoothed", CROSS_ENTROPIES, WEIGHTS, 0, SET(MEAN, WEIGHTED, NAN, NAN, KL, -100, 0.1, 1, 0, 0, 0, 0)},
    {"smoothed uniformly", 1 << CE_INDEX, WEIGHTS, 0, SET(MEAN, UNIFORM, NAN, NAN, KL, -100, 0.25, 1, 0, 0, 0, 0)},
    {"focal, poly", 1 << CE_INDEX, WEIGHTS, 0, SET(MEAN, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 0, 2, 1.5, 0)},
    {"focal, cap", 1 << CE_INDEX, 1 << GRAD_LOSS, 0, SET(SUM, WEIGHTED, NAN, NAN, KL, -100, 0, 1, 20, 0.5, 0, 0)},
    {"a class ignored", 1 << CE_INDEX | 1 << CE_SPARSE | 1 << NLL, WEIGHTS, 0,
     SET(MEAN, WEIGHTED, NAN, NAN, KL, 1, 0, 1, 0, 0, 0, 0)},
    {"everything", CROSS_ENTROPIES, WEIGHTS | 1 << ROW_MASK | 1 << CLASS_MASK | 1 << GRAD_LOSS, 0,
     SET(MEAN, WEIGHTED, ZERO, ZERO, KL, -7, 0.1, 1.3, 30, 0, 0, 1e-3)},
    {"fastest", WITH_OPTIONS, 1 << GRAD_LOSS, 0,
     {.struct_size = sizeof(xent_options), .ignore_index = -100, .temperature = 1, .accuracy = XENT_ACCURACY_FASTEST}},
    {"soft cross-entropy", 1 << DIVERGENCE, 0, 0,
     SET(SUM, WEIGHTED, NAN, NAN, SOFT_CROSS_ENTROPY, -100, 0, 3, 0, 0, 0, 0)},
    {"reverse KL", 1 << DIVERGENCE, 1 << GRAD_LOSS, 0,
     SET(MEAN, WEIGHTED, NAN, NAN, REVERSE_KL, -100, 0, 1, 0, 0, 0, 0)},
    {"Jensen-Shannon", 1 << DIVERGENCE, 1 << ROW_MASK | 1 << CLASS_MASK, 0,
     SET(NONE, WEIGHTED, NAN, NAN, JENSEN_SHANNON, -100, 0, 2, 0, 0, 0, 0)},
};
const int variant_count = sizeof variants / sizeof *variants;

const variant *variant_named(const char *name) {
  for (int k = 0; k < variant_count; k++)
    if (!strcmp(variants[k].name, name)) return &variants[k];
  fprintf(stderr, "no variant %s\n", name);
  abort();
}

bool is_output(tensor t) { return t >= REDUCED_LOSS; }

bool is_taken(form form, tensor t) { return tensor_specs[t].forms >> form & 1; }

const char *tensor_name(form form, tensor t) {
  return t == LOGITS ? form_specs[form].logits : t == TARGETS ? form_specs[form].targets : tensor_specs[t].name;
}

const char *call_label(const call *c) {
  static char text[200];
  snprintf(text, sizeof text, "%s %s (%lld, %lld, %lld), %s", form_specs[c->form].label, dtype_name(c->type),
           (long long)c->outer, (long long)c->classes, (long long)c->inner, c->variant->name);
  return text;
}

/* ---- Making a call ---------------------------------------------------------------------------------------------- */

static extent extent_of(const call *c, tensor t) {
  if (t == TARGETS) return form_specs[c->form].targets_extent;
  if (t == ROW_LOSS && c->form == BINARY) return WHOLE;
  return c->variant->whole >> t & 1 ? WHOLE : tensor_specs[t].extent;
}

static content content_of(const call *c, tensor t) {
  return t == TARGETS ? form_specs[c->form].targets_content : tensor_specs[t].content;
}

static xent_dtype first_dtype(const call *c, tensor t) {
  xent_dtype real = c->type == F64 ? XENT_F64 : XENT_F32;
  switch (content_of(c, t)) {
    case FLOATING: return extent_of(c, t) == WHOLE && t != WEIGHT && t != POS_WEIGHT ? (xent_dtype)c->type + 1 : real;
    case REAL: return real;
    case INTEGERS: return t == ROW_MASK || t == CLASS_MASK ? XENT_U8 : XENT_I64;
    case INDICES: return t == TARGET_RANK ? XENT_I32 : XENT_I64;
  }
  abort();
}

static int64_t picks(const call *c, int64_t most) { return c->classes < most ? c->classes : most; }

static xent_tensor contiguous(const call *c, tensor t) {
  xent_tensor r = {sizeof r, NULL, first_dtype(c, t), 0, c->outer, 1, c->inner, 0, 0, 1};
  switch (extent_of(c, t)) {
    case WHOLE: r.classes = c->classes; break;
    case EACH_ROW: break;
    case EACH_CLASS: r.outer = r.inner = 1; r.classes = c->classes; break;
    case SINGLE: r.outer = r.inner = 1; break;
    case SPARSE_PICKS: r.classes = picks(c, 3); break;
    case GATHER_PICKS: r.classes = picks(c, 2); break;
    case TOP_PICKS: r.classes = picks(c, 5); break;
  }
  r.class_stride = r.inner;
  r.outer_stride = r.classes * r.inner;
  return r;
}

/* A row's style shows in its logits: ordinary, with ties, with masks; or not finite. */
static double logit(const call *c, int64_t row, int64_t class, bool is_wild, uint64_t *seed) {
  double u = random_unit(seed);
  uint64_t bits = random_bits(seed);
  if (c->form == NLL || c->form == LOG_SOFTMAX_GRAD) u = (u - 1) / 2;
  if (c->form == SOFTMAX_GRAD) return (u + 1) / 2;
  switch (row % 8) {
    case 2: return floor(4 * u);
    case 3: return c->form != BINARY && bits % 3 == 0 ? -INFINITY : 20 * u;
    case 4: return is_wild ? -INFINITY : 8 * u;
    case 5: return is_wild && class == c->classes / 2 ? NAN : 8 * u;
    case 6: return is_wild && class == c->classes / 3 && c->form != NLL ? INFINITY : 8 * u;
    default: return 8 * u;
  }
}

static void fill_tensor(const call *c, tensor t, bool is_wild, uint64_t seed) {
  const xent_tensor *x = &c->tensors[t];
  for (int64_t o = 0; o < x->outer; o++)
    for (int64_t j = 0; j < x->classes; j++)
      for (int64_t i = 0; i < x->inner; i++) {
        int64_t row = o * x->inner + i;
        uint64_t bits = random_bits(&seed);
        double u = random_unit(&seed);
        bool is_index = content_of(c, t) == INTEGERS && (t == TARGETS || t == GATHER);
        if (is_index) {
          bool is_ignored = t == TARGETS && (bits % 8 == 0 || !c->classes);
          store_integer(x, o, j, i, is_ignored ? c->options.ignore_index : (int64_t)(bits >> 8) % c->classes);
        } else if (t == ROW_MASK || t == CLASS_MASK) {
          store_integer(x, o, j, i, bits % 5 ? (int64_t)(bits % 5) : 0);
        } else if (t == LOGITS || (t == TARGETS && c->form == DIVERGENCE)) {
          store_element(x, o, j, i, logit(c, row, j, is_wild, &seed));
        } else if (t == TARGETS && c->form >= LOG_SOFTMAX_GRAD) {
          store_element(x, o, j, i, 8 * u);
        } else if (t == TARGETS || t == TARGET_PROBS) {
          store_element(x, o, j, i, bits % 3 ? (u + 1) / 2 : (double)(bits >> 8 & 1));
        } else {
          store_element(x, o, j, i, t == GRAD_LOSS ? 4 * u : 1.25 + u);
        }
      }
}

void add_tensor(call *c, tensor t, bool is_wild, uint64_t seed) {
  c->has[t] = true;
  c->tensors[t] = contiguous(c, t);
  move_tensor(c, t, &layouts[0]);
  if (!is_output(t)) fill_tensor(c, t, is_wild, seed);
}

call make_call(form form, dtype type, int64_t outer, int64_t classes, int64_t inner, const variant *v, bool is_wild,
               uint64_t seed) {
  call c = {.form = form, .type = type, .outer = outer, .classes = classes, .inner = inner, .variant = v};
  c.options = v->options;
  c.has_sums = WITH_LOSS >> form & 1;
  for (tensor t = 0; t < TENSORS; t++) {
    bool is_chosen = is_output(t) || t <= TARGETS || t == TARGET_PROBS || t == GATHER || v->tensors >> t & 1;
    c.has[t] = is_chosen && is_taken(form, t) && !(t == REDUCED_LOSS && v->options.reduction == XENT_REDUCTION_NONE);
    if (c.has[t]) add_tensor(&c, t, is_wild, seed + (uint64_t)t);
  }
  return c;
}

void free_call(call *c) {
  for (tensor t = 0; t < TENSORS; t++) {
    free(c->blocks[t]);
    c->blocks[t] = NULL;
  }
}

void connect(call *c, xent_options *options, xent_outputs *outputs) {
  *options = c->options;
  *outputs = (xent_outputs)XENT_OUTPUTS_INIT;
  for (tensor t = WEIGHT; t < TENSORS; t++) {
    const xent_tensor *pointer = c->has[t] ? &c->tensors[t] : NULL;
    memcpy((is_output(t) ? (char *)outputs : (char *)options) + tensor_specs[t].offset, &pointer, sizeof pointer);
  }
  if (!c->has_sums) return;
  memset(&c->sums, UNTOUCHED, sizeof c->sums);
  if (c->form == CE_INDEX) outputs->correct = &c->sums.correct;
  outputs->rows_counted = &c->sums.rows_counted;
  outputs->loss_sum = &c->sums.loss_sum;
  outputs->weight_sum = &c->sums.weight_sum;
}

xent_status call_with(call *c, const xent_options *options, const xent_outputs *outputs, xent_error *error) {
  const xent_tensor *logits = c->has[LOGITS] ? &c->tensors[LOGITS] : NULL;
  const xent_tensor *targets = c->has[TARGETS] ? &c->tensors[TARGETS] : NULL;
  const xent_tensor *gradient = c->has[GRAD_LOGITS] ? &c->tensors[GRAD_LOGITS] : NULL;
  switch (c->form) {
    case SOFTMAX: return xent_softmax(logits, options, outputs, error);
    case CE_INDEX:
    case CE_SPARSE:
    case CE_PROBS: return xent_cross_entropy(logits, targets, options, outputs, error);
    case NLL: return xent_nll(logits, targets, options, outputs, error);
    case BINARY: return xent_binary_cross_entropy(logits, targets, options, outputs, error);
    case DIVERGENCE: return xent_divergence(logits, targets, options, outputs, error);
    case LOG_SOFTMAX_GRAD: return xent_log_softmax_grad(logits, targets, gradient, error);
    case SOFTMAX_GRAD: return xent_softmax_grad(logits, targets, gradient, error);
    case FORMS: break;
  }
  abort();
}

xent_status run_call(call *c, xent_error *error) {
  xent_options options;
  xent_outputs outputs;
  connect(c, &options, &outputs);
  return call_with(c, &options, &outputs, error);
}

bool is_nothing_written(const call *c) {
  bool kept = true;
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
    for (size_t k = 0; c->has[t] && k < c->block_bytes[t]; k++) kept &= ((char *)c->blocks[t])[k] == UNTOUCHED;
  for (size_t k = 0; c->has_sums && k < sizeof c->sums; k++) kept &= ((const char *)&c->sums)[k] == UNTOUCHED;
  return kept;
}

const char *different_output(const call *a, const call *b) {
  bool has_sums = a->has_sums && b->has_sums;
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++)
    if (a->has[t] && b->has[t] && !same_elements(&a->tensors[t], &b->tensors[t])) return tensor_name(a->form, t);
  if (!has_sums) return NULL;
  if (a->sums.correct != b->sums.correct) return "correct";
  if (a->sums.rows_counted != b->sums.rows_counted) return "rows_counted";
  for (int k = 0; k < 2; k++) {
    const double *x = k ? &a->sums.weight_sum : &a->sums.loss_sum, *y = k ? &b->sums.weight_sum : &b->sums.loss_sum;
    if (memcmp(x, y, sizeof *x) && !(isnan(*x) && isnan(*y))) return k ? "weight_sum" : "loss_sum";
  }
  return NULL;
}
