/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiled twice: with and without -DWIDE. See reference.h.
 */
#include "reference.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef WIDE
typedef long double real;
#define M(name) name##l
#define MISMATCH mismatch_long_double
#else
typedef double real;
#define M(name) name
#define MISMATCH mismatch_double
#endif

/* ---- Bounds ----------------------------------------------------------------------------------------------------- */

static const struct {
  int digits, lowest; /* of the smallest normal number, as frexp counts */
  double largest;
} formats[] = {[XENT_F32] = {24, -125, 0x1.fffffep127},
               [XENT_F64] = {53, -1021, 0x1.fffffffffffffp1023},
               [XENT_F16] = {11, -13, 65504},
               [XENT_BF16] = {8, -125, 0x1.fep127}};

static real ulp(real scale, xent_dtype type) {
  int lowest = formats[type].lowest, exponent = lowest;
  if (scale != 0) M(frexp)(scale, &exponent);
  return M(ldexp)(1, (exponent < lowest ? lowest : exponent) - formats[type].digits);
}

static _Thread_local char text[256];
static const finished_call *call_now;
static bool is_simple; /* no option but weight and ignore_index: 2 ulp in f64, otherwise 16 */

/* What accuracy is about: 3 ulp in f32. */
static bool is_fast(tensor t) {
  return call_now->options.accuracy == XENT_ACCURACY_FASTEST && (t == PROBS || t == GRAD_LOGITS);
}

/* NULL, or the difference. `scale`: whose ulp it is. */
static const char *compare(tensor t, const char *name, int64_t row, int64_t k, xent_dtype type, double got, real wanted,
                           real scale) {
  real size = M(fabs)(wanted), unit, bound, slack;
  if (scale != scale) return NULL; /* where the header does not say */
  if (wanted != wanted) {
    if (got != got) return NULL;
  } else if (size < (real)INFINITY && scale > 2 * size && scale > (real)formats[type].largest) {
    return NULL; /* an ulp of what the format has not */
  } else if (size > formats[type].largest) { /* infinite, or rounded to that; the last numbers before it are near */
    real last = (real)formats[type].largest;
    if (got == (wanted > 0 ? (double)INFINITY : -(double)INFINITY)) return NULL;
    /* The header's ends: a mean of losses, one of which f64 has not. */
    if (type == XENT_F64 && M(fabs)((real)got) > 1e280L) return NULL;
    if (size < last + 20 * ulp(last, type) && (double)M(fabs)(got) > formats[type].largest * (1 - 0x1p-6)) return NULL;
  } else {
    if (scale < size) scale = size;
    if (type == XENT_F64 && (scale > 1e280L || (scale < 1e-280L && scale != 0))) return NULL; /* the header's ends */
    unit = ulp(scale, type);
    bound = type == XENT_F64 ? (is_simple ? 2 : 16) : type == XENT_F32 && is_fast(t) ? 3 : 1;
    slack = type == XENT_F64 ? (real)0.5 : (real)0.002; /* the reference's own error */
    if (M(fabs)((real)got - wanted) <= (bound + slack) * unit) return NULL;
    if (isinf(got) && size + 2 * unit > (real)formats[type].largest) return NULL;
  }
  snprintf(text, sizeof text, "%s %s %s: row %lld, %lld: %.17g, not %.20Lg (scale %.3Lg)", form_specs[call_now->form].label,
           dtype_name(call_now->type), name, (long long)row, (long long)k, got, (long double)wanted, (long double)scale);
  return text;
}

/* ---- A row of logits -------------------------------------------------------------------------------------------- */

typedef struct {
  int64_t classes, live;
  int64_t argmax;
  bool has_nan, is_masked, is_odd;
  real max, lse, entropy, reach; /* reach: how far an ulp of z moves what depends on it */
  real z[REFERENCE_CLASSES], slope[REFERENCE_CLASSES], minus_log_p[REFERENCE_CLASSES];
  real p[REFERENCE_CLASSES], rest[REFERENCE_CLASSES];
  bool stays[REFERENCE_CLASSES];
} row_of;

static row_of first_row, second_row;

static void set_logits(row_of *r, const xent_tensor *x, int64_t o, int64_t i, const xent_options *options,
                       const xent_tensor *mask) {
  real cap = options->softcap, temperature = options->temperature;
  r->classes = x->classes;
  r->live = 0;
  r->reach = 0;
  for (int64_t c = 0; c < r->classes; c++) {
    double v = load_element(x, o, c, i);
    real z = (double)v / options->temperature, slope = 1 / temperature;
    if (cap != 0) {
      real bent = M(tanh)(v / cap), steep = 1 / M(cosh)(v / cap);
      z = v == -INFINITY ? (real)-INFINITY : (real)(double)(cap * bent / temperature);
      slope = v == -INFINITY ? 0 : steep * steep / temperature;
      real unit = call_now->type == F64 ? 2 : (real)0x1p-28; /* two ulps of z in f64 */
      if (unit * M(fabs)(z) > r->reach && M(fabs)(z) < (real)INFINITY) r->reach = unit * M(fabs)(z);
    }
    r->stays[c] = !mask || load_integer(mask, 0, c, 0) != 0;
    r->live += r->stays[c];
    r->z[c] = r->stays[c] ? z : (real)-INFINITY;
    r->slope[c] = r->stays[c] ? slope : 0;
  }
}

static void set_probabilities(row_of *r) {
  real others = 0, total;
  r->has_nan = false;
  r->is_masked = true;
  r->max = -(real)INFINITY;
  r->argmax = r->classes ? 0 : -1;
  for (int64_t c = 0; c < r->classes; c++) {
    if (r->z[c] != r->z[c]) {
      if (!r->has_nan) r->argmax = c;
      r->has_nan = true;
    }
    r->is_masked &= r->z[c] == -(real)INFINITY;
    if (!r->has_nan && r->z[c] > r->max) r->max = r->z[c], r->argmax = c;
  }
  r->is_odd = r->has_nan || r->is_masked || r->max == (real)INFINITY;
  if (r->has_nan) r->max = NAN;
  if (r->is_odd) {
    r->lse = r->max;
    r->entropy = NAN;
    for (int64_t c = 0; c < r->classes; c++) r->p[c] = r->rest[c] = r->minus_log_p[c] = NAN;
    return;
  }
  for (int64_t c = 0; c < r->classes; c++) {
    r->p[c] = M(exp)(r->z[c] - r->max);
    if (c != r->argmax) others += r->p[c];
  }
  total = 1 + others;
  r->lse = r->max + M(log1p)(others);
  r->entropy = 0;
  for (int64_t c = 0; c < r->classes; c++) {
    bool is_largest = c == r->argmax;
    r->minus_log_p[c] = is_largest ? M(log1p)(others) : r->max - r->z[c] + M(log1p)(others);
    if (r->minus_log_p[c] > (real)formats[XENT_F64].largest) r->minus_log_p[c] = INFINITY;
    r->rest[c] = (is_largest ? others : total - r->p[c]) / total;
    r->p[c] /= total;
    if (r->p[c] != 0) r->entropy += r->p[c] * r->minus_log_p[c];
  }
}

/* ---- What a row is worth ---------------------------------------------------------------------------------------- */

static real a[REFERENCE_CLASSES];        /* the factors of -log p in the loss */
static real gradient[REFERENCE_CLASSES]; /* by the logits, but for the upstream gradient and the divisor */
static real sizes[REFERENCE_CLASSES];    /* of the terms of the gradient */

typedef struct {
  bool counts;
  int64_t target; /* -1: none */
  real weight, loss, scale, z_loss;
} row_result;

static real weight_at(const xent_tensor *weight, int64_t c) { return weight ? load_element(weight, 0, c, 0) : 1; }

static bool is_ignored(const xent_tensor *t, int64_t o, int64_t k, int64_t i) {
  int64_t value = load_integer(t, o, k, i);
  return value == call_now->options.ignore_index && !(t->dtype == XENT_U64 && value < 0);
}

/* Sets the factors, whether the row counts, its weight in a mean, and its class. */
static row_result set_factors(const row_of *r, int64_t o, int64_t i) {
  const xent_options *options = &call_now->options;
  const xent_tensor *targets = call_now->tensors[TARGETS], *weight = call_now->tensors[WEIGHT];
  row_result result = {.counts = true, .target = -1, .weight = 1};
  real eps = options->label_smoothing, each = r->live ? eps / r->live : 0;
  if (call_now->form == CE_INDEX) {
    result.counts = !is_ignored(targets, o, 0, i);
    result.target = result.counts ? load_integer(targets, o, 0, i) : 0;
    result.weight = result.counts ? weight_at(weight, result.target) : 0;
    for (int64_t c = 0; c < r->classes; c++) {
      bool is_uniform = options->smoothing == XENT_SMOOTHING_UNIFORM;
      a[c] = c == result.target && result.counts ? (1 - eps) * result.weight : 0;
      if (eps != 0 && r->stays[c]) a[c] += each * (is_uniform ? result.weight : weight_at(weight, c));
    }
    return result;
  }
  if (call_now->form == CE_SPARSE) {
    result.counts = false;
    for (int64_t c = 0; c < r->classes; c++) a[c] = 0;
    for (int64_t k = 0; k < targets->classes; k++) {
      if (is_ignored(targets, o, k, i)) continue;
      a[load_integer(targets, o, k, i)] += load_element(call_now->tensors[TARGET_PROBS], o, k, i);
      result.counts = true;
    }
  } else {
    for (int64_t c = 0; c < r->classes; c++) a[c] = load_element(targets, o, c, i);
  }
  for (int64_t c = 0; c < r->classes; c++)
    a[c] = r->stays[c] ? weight_at(weight, c) * ((1 - eps) * a[c] + each) : 0;
  return result;
}

/* Focal loss and PolyLoss. */
static void set_factor_loss(const row_of *r, row_result *result) {
  int64_t t = result->target;
  real u = r->minus_log_p[t], p = r->p[t], rest = r->rest[t], w = result->weight;
  real gamma = call_now->options.focal_gamma, poly = call_now->options.poly_epsilon;
  real power = M(pow)(rest, gamma), steep = 0, size = 0;
  if (gamma != 0 && rest != 0 && p != 0) {
    steep = gamma * power * p * (u / rest + poly);
    size = gamma * power * p * (u / rest + M(fabs)(poly));
  }
  result->loss = w * power * (u + poly * rest);
  result->scale = M(fabs)(w) * power * (u + M(fabs)(poly) * rest) + M(fabs)(w) * r->reach * (1 + gamma);
  steep += power * (1 + poly * p);
  size += power * (1 + M(fabs)(poly) * p);
  for (int64_t c = 0; c < r->classes; c++) {
    real part = c == t ? -rest : r->p[c];
    gradient[c] = w * steep * part;
    sizes[c] = M(fabs)(w * part) * size;
  }
}

/* An lse nearer to 0 than 1 has the ulps of 1, and so has what is made of it. */
static real one_at_least(real value) { return M(fabs)(value) > 1 ? M(fabs)(value) : 1; }

static real square_scale(const row_of *r) {
  return (real)call_now->options.z_loss * M(fabs)(r->lse) * (one_at_least(r->lse) + 2 * r->reach);
}

static void set_cross_entropy(const row_of *r, row_result *result) {
  const xent_options *options = &call_now->options;
  real total = 0, absolute = 0, extra = options->z_loss != 0 ? 2 * options->z_loss * (r->is_odd ? NAN : r->lse) : 0;
  bool is_index = result->target >= 0 && options->label_smoothing == 0;
  if ((options->focal_gamma != 0 || options->poly_epsilon != 0) && r->classes && result->counts) {
    set_factor_loss(r, result);
  } else {
    for (int64_t c = 0; c < r->classes; c++) {
      total += a[c];
      absolute += M(fabs)(a[c]);
      real term = a[c] == 0 ? 0 : a[c] * r->minus_log_p[c];
      if (!is_index) result->loss += term, result->scale += M(fabs)(term);
    }
    if (is_index && r->classes) {
      result->loss = result->weight * r->minus_log_p[result->target];
      result->scale = M(fabs)(result->loss);
    }
    /* A weight of 0 times an infinite loss, with smoothing as without. */
    if (!is_index && result->target >= 0 && result->weight == 0 && result->counts && options->label_smoothing != 1)
      result->loss += (1 - (real)options->label_smoothing) * result->weight * r->minus_log_p[result->target];
    result->scale += absolute * r->reach;
    for (int64_t c = 0; c < r->classes; c++) {
      real others = is_index && a[c] != 0 ? 0 : total - a[c];
      gradient[c] = others * r->p[c] - a[c] * r->rest[c];
      sizes[c] = is_index ? M(fabs)(gradient[c]) : absolute * r->p[c] + M(fabs)(a[c]);
    }
  }
  for (int64_t c = 0; c < r->classes; c++) {
    gradient[c] = gradient[c] + extra * r->p[c];
    if (extra != 0) sizes[c] += 2 * (real)options->z_loss * one_at_least(r->lse) * r->p[c];
    if (r->reach > 1) sizes[c] *= r->reach;
  }
  if (r->is_odd) result->loss = NAN;
  if (result->counts) {
    result->z_loss = options->z_loss * r->lse * r->lse;
    result->loss += result->z_loss;
    result->scale += square_scale(r);
  }
}

/* p * (log p - log q) with the size of its error: in f64 the difference has the ulps of the logarithms. */
static real divergence_term(real p, real log_p, real log_q, real *size) {
  real part = 0;
  if (M(fabs)(log_p) < (real)INFINITY) part = M(fabs)(log_p);
  if (M(fabs)(log_q) < (real)INFINITY && M(fabs)(log_q) > part) part = M(fabs)(log_q);
  if (call_now->type != F64) part *= (real)0x1p-29;
  part += first_row.reach + second_row.reach;
  real term = p == 0 ? 0 : p * (log_p - log_q);
  /* Whether a probability that f64 hardly has is 0 next to an infinite logarithm, or one of its largest. */
  bool is_open = p != 0 && p < (real)1e-290 && !(M(fabs)(log_p - log_q) < 1e9);
  is_open |= p != 0 && M(fabs)(log_p - log_q) > (real)1e300 && M(fabs)(log_p - log_q) < (real)INFINITY;
  *size = is_open ? (real)NAN : p == 0 ? 0 : M(fabs)(term) > p * part ? M(fabs)(term) : p * part;
  return term;
}

/* p * (log p - log m), m = (p + q) / 2: p / m is 1 + (1 - q / p) / (1 + q / p). */
static real middle_term(real p, real log_p, real log_q, real *size) {
  real apart = log_q - log_p, exact = 0;
  if (p != 0 && apart > 100) exact = -p * (apart - M(log)(2));
  else if (p != 0) exact = -p * M(log1p)(M(expm1)(apart) / 2);
  divergence_term(p, log_p, log_p, size); /* what an ulp of the logarithms makes */
  if (M(fabs)(exact) > *size) *size = M(fabs)(exact);
  return exact;
}

static void set_divergence(const row_of *student, const row_of *teacher, row_result *result) {
  int32_t kind = call_now->options.divergence;
  real total = 0;
  real reach = student->reach > teacher->reach ? student->reach : teacher->reach, spread = reach > 1 ? reach : 1;
  for (int64_t c = 0; c < student->classes; c++) {
    real p = teacher->p[c], q = student->p[c], log_p = -teacher->minus_log_p[c], log_q = -student->minus_log_p[c];
    real size = 0, other = 0, term;
    if (kind == XENT_KL) {
      result->loss += divergence_term(p, log_p, log_q, &size);
    } else if (kind == XENT_SOFT_CROSS_ENTROPY) {
      divergence_term(p, log_p, log_q, &size);
      term = p == 0 ? 0 : -p * log_q;
      result->loss += term;
      size = size == size ? M(fabs)(term) : size;
    } else if (kind == XENT_REVERSE_KL) {
      total += gradient[c] = divergence_term(q, log_q, log_p, &size);
      sizes[c] = size;
      result->loss = total;
    } else {
      result->loss += middle_term(p, log_p, log_q, &other) / 2;
      total += gradient[c] = middle_term(q, log_q, log_p, &size);
      sizes[c] = size;
      result->loss += gradient[c] / 2;
    }
    result->scale += (size + other) * spread;
    if (kind == XENT_KL || kind == XENT_SOFT_CROSS_ENTROPY) {
      real part = M(fabs)(log_p) < (real)INFINITY ? M(fabs)(log_p) : 0;
      gradient[c] = q - p;
      if (M(fabs)(log_q) < (real)INFINITY && M(fabs)(log_q) > part) part = M(fabs)(log_q);
      sizes[c] = (p + q) * (call_now->type == F64 && part > 1 ? part : 1) * spread;
    }
  }
  if (kind == XENT_REVERSE_KL || kind == XENT_JENSEN_SHANNON)
    for (int64_t c = 0; c < student->classes; c++) {
      real q = student->p[c], half = kind == XENT_JENSEN_SHANNON ? 2 : 1;
      gradient[c] = q == 0 ? 0 : (gradient[c] - q * total) / half;
      sizes[c] = (sizes[c] + M(fabs)(q * total) + q * result->scale) / half * spread;
    }
  if (student->is_odd || teacher->is_odd) result->loss = NAN;
}

#include "reference_outputs.h"
