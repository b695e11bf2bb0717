/* SPDX-License-Identifier: Apache-2.0
 *
 * The second half of reference.c: every output of a call against what its row is worth.
 */

/* ---- Binary cross-entropy, and the backward passes -------------------------------------------------------------- */

/* a * b; 0 where a is 0, but for a NaN. */
static real times(real x, real y) { return x == 0 && y == y ? 0 : x * y; }

static real element(tensor t, int64_t o, int64_t c, int64_t i, real otherwise) {
  const xent_tensor *x = call_now->tensors[t];
  if (!x) return otherwise;
  return load_element(x, x->outer > 1 ? o : 0, x->classes > 1 ? c : 0, x->inner > 1 ? i : 0);
}

static row_result binary(int64_t o, int64_t c, int64_t i, real *grad, real *size) {
  real x = element(LOGITS, o, c, i, 0), y = element(TARGETS, o, c, i, 0);
  real w = element(WEIGHT, o, c, i, 1), pos = element(POS_WEIGHT, o, c, i, 1);
  real small = M(exp)(-M(fabs)(x)), curve = M(log1p)(small);
  real at_one = (x < 0 ? -x : 0) + curve, at_zero = (x > 0 ? x : 0) + curve;
  real s = (x > 0 ? 1 : small) / (1 + small), other = (x > 0 ? small : 1) / (1 + small);
  real ones = times(pos * y, at_one), zeros = times(1 - y, at_zero);
  row_result result = {.counts = true, .weight = 1, .loss = times(w, ones + zeros)};
  result.scale = M(fabs)(w) * (M(fabs)(ones) + M(fabs)(zeros));
  *grad = w * ((1 - y) * s - pos * y * other);
  *size = M(fabs)(w) * (M(fabs)(1 - y) * s + M(fabs)(pos * y) * other);
  if (x != x) result.loss = *grad = NAN;
  return result;
}

static void set_backward(int64_t o, int64_t i) {
  const xent_tensor *first = call_now->tensors[LOGITS], *second = call_now->tensors[TARGETS];
  bool is_log = call_now->form == LOG_SOFTMAX_GRAD;
  real sum = 0, absolute = 0;
  for (int64_t c = 0; c < first->classes; c++) {
    real g = load_element(second, o, c, i), term = is_log ? g : g * load_element(first, o, c, i);
    sum += term;
    absolute += M(fabs)(term);
  }
  for (int64_t c = 0; c < first->classes; c++) {
    real g = load_element(second, o, c, i), v = load_element(first, o, c, i), p = is_log ? M(exp)(v) : v;
    gradient[c] = is_log ? g - p * sum : p * (g - sum);
    sizes[c] = is_log ? M(fabs)(g) + p * absolute : M(fabs)(p) * (M(fabs)(g) + absolute);
  }
}

/* ---- Outputs ---------------------------------------------------------------------------------------------------- */

#define TRY(check)                     \
  do {                                 \
    const char *problem = (check);     \
    if (problem) return problem;       \
  } while (0)

static const char *at_row(tensor t, int64_t o, int64_t k, int64_t i, real wanted, real scale) {
  const xent_tensor *x = call_now->tensors[t];
  if (!x) return NULL;
  return compare(t, tensor_name(call_now->form, t), o * x->inner + i, k, x->dtype, load_element(x, o, k, i), wanted,
                 scale);
}

static const char *integer_at_row(tensor t, int64_t o, int64_t k, int64_t i, int64_t wanted) {
  const xent_tensor *x = call_now->tensors[t];
  /* Which of two logits is larger under a soft cap is a matter of tanh's last digit. */
  if (!x || load_integer(x, o, k, i) == wanted || call_now->options.softcap != 0) return NULL;
  snprintf(text, sizeof text, "%s %s: row %lld: %lld, not %lld", form_specs[call_now->form].label,
           tensor_name(call_now->form, t), (long long)(o * x->inner + i), (long long)load_integer(x, o, k, i),
           (long long)wanted);
  return text;
}

/* Whether class c comes before the class d among the largest. */
static bool comes_before(const row_of *r, int64_t c, int64_t d) {
  bool c_nan = r->z[c] != r->z[c], d_nan = r->z[d] != r->z[d];
  if (c_nan || d_nan) return c_nan && (!d_nan || c < d);
  return r->z[c] > r->z[d] || (r->z[c] == r->z[d] && c < d);
}

static const char *check_top(const row_of *r, int64_t o, int64_t i) {
  const xent_tensor *indices = call_now->tensors[TOP_INDICES], *logs = call_now->tensors[TOP_LOG_PROBS];
  int64_t k = indices ? indices->classes : logs ? logs->classes : 0, last = -1;
  for (int64_t n = 0; n < k; n++) {
    int64_t best = -1;
    for (int64_t c = 0; c < r->classes; c++)
      if ((last < 0 || comes_before(r, last, c)) && (best < 0 || comes_before(r, c, best))) best = c;
    TRY(integer_at_row(TOP_INDICES, o, n, i, best));
    if (call_now->options.softcap != 0 && indices) best = load_integer(indices, o, n, i);
    TRY(at_row(TOP_LOG_PROBS, o, n, i, -r->minus_log_p[best], r->minus_log_p[best] + r->reach));
    last = best;
  }
  return NULL;
}

/* The end of the format: lse^2 is beyond. */
static bool squares_leave(const row_of *r) {
  return call_now->type == F64 && M(fabs)(r->lse) > (real)1e150 && M(fabs)(r->lse) < (real)INFINITY;
}

static const char *check_statistics(const row_of *r, const row_result *result, int64_t o, int64_t i) {
  bool is_zero = r->is_masked && call_now->options.masked_row == XENT_ZERO;
  TRY(at_row(LSE, o, 0, i, r->lse, (M(fabs)(r->lse) > 1 ? M(fabs)(r->lse) : 1) + r->reach));
  TRY(at_row(ENTROPY, o, 0, i, is_zero ? 0 : r->entropy, 1 + r->reach));
  TRY(at_row(MAX_LOGIT, o, 0, i, r->max, r->reach));
  TRY(integer_at_row(ARGMAX, o, 0, i, r->argmax));
  for (int64_t c = 0; c < r->classes; c++) {
    TRY(at_row(PROBS, o, c, i, is_zero ? 0 : r->p[c], r->p[c] * (r->reach > 1 ? r->reach : 1)));
    TRY(at_row(LOG_PROBS, o, c, i, -r->minus_log_p[c], r->minus_log_p[c] + r->reach));
  }
  TRY(check_top(r, o, i));
  const xent_tensor *gather = call_now->tensors[GATHER];
  for (int64_t k = 0; gather && k < gather->classes; k++) {
    real value = r->minus_log_p[load_integer(gather, o, k, i)];
    TRY(at_row(GATHERED, o, k, i, -value, value + r->reach));
  }
  if (!squares_leave(r)) TRY(at_row(Z_LOSS, o, 0, i, result->z_loss, result->counts ? square_scale(r) : 0));
  if (call_now->form != CE_INDEX) return NULL;
  int64_t rank = 0, t = result->target;
  for (int64_t c = 0; c < r->classes && result->counts; c++)
    rank += r->z[c] > r->z[t] || (r->z[c] == r->z[t] && c < t);
  TRY(integer_at_row(TARGET_RANK, o, 0, i, result->counts ? rank : -1));
  real value = result->counts ? r->minus_log_p[t] : 0;
  return at_row(TARGET_LOG_PROB, o, 0, i, -value, value + (result->counts ? r->reach : 0));
}

/* What a row comes to; fills gradient and sizes. */
static row_result row_of_call(int64_t o, int64_t i) {
  const finished_call *c = call_now;
  row_result result = {.counts = true, .target = -1, .weight = 1};
  int64_t classes = c->tensors[LOGITS]->classes;
  if (c->form == NLL) {
    result.counts = !is_ignored(c->tensors[TARGETS], o, 0, i);
    result.target = result.counts ? load_integer(c->tensors[TARGETS], o, 0, i) : -1;
    result.weight = result.counts ? weight_at(c->tensors[WEIGHT], result.target) : 0;
    if (result.counts && c->tensors[LOGITS]->data)
      result.loss = -result.weight * load_element(c->tensors[LOGITS], o, result.target, i);
    for (int64_t k = 0; k < classes; k++) gradient[k] = sizes[k] = k == result.target ? -result.weight : 0;
  } else if (c->form <= CE_PROBS || c->form == DIVERGENCE) {
    set_logits(&first_row, c->tensors[LOGITS], o, i, &c->options, c->tensors[CLASS_MASK]);
    set_probabilities(&first_row);
    if (c->form == DIVERGENCE) {
      set_logits(&second_row, c->tensors[TARGETS], o, i, &c->options, c->tensors[CLASS_MASK]);
      set_probabilities(&second_row);
    } else if (c->form != SOFTMAX) {
      result = set_factors(&first_row, o, i);
    }
  }
  if (c->tensors[ROW_MASK] && !load_integer(c->tensors[ROW_MASK], o, 0, i)) result.counts = false;
  if (c->options.masked_row == XENT_ZERO && (c->form <= CE_PROBS || c->form == DIVERGENCE))
    if (first_row.is_masked || (c->form == DIVERGENCE && second_row.is_masked)) result.counts = false;
  if (c->form == DIVERGENCE) {
    set_divergence(&first_row, &second_row, &result);
  } else if (c->form == SOFTMAX) {
    real extra = 1 + 2 * c->options.z_loss * first_row.lse;
    for (int64_t k = 0; k < classes; k++) {
      gradient[k] = c->options.z_loss != 0 ? extra * first_row.p[k] : first_row.p[k];
      sizes[k] = (1 + 2 * (real)c->options.z_loss * one_at_least(first_row.lse)) * first_row.p[k] * (first_row.reach > 1 ? first_row.reach : 1);
      if (c->options.z_loss == 0) sizes[k] = first_row.p[k] * (first_row.reach > 1 ? first_row.reach : 1);
    }
    result.z_loss = result.counts ? c->options.z_loss * first_row.lse * first_row.lse : 0;
  } else if (c->form <= CE_PROBS) {
    set_cross_entropy(&first_row, &result);
  }
  if (!result.counts) result.loss = result.scale = 0;
  return result;
}

static const char *check_gradient(const row_result *result, int64_t o, int64_t i, real divisor) {
  const xent_tensor *x = call_now->tensors[GRAD_LOGITS];
  bool of_logits = call_now->form <= CE_PROBS || call_now->form == DIVERGENCE;
  bool is_odd = of_logits && (first_row.is_odd || (call_now->form == DIVERGENCE && second_row.is_odd));
  if (!x) return NULL;
  /* The formula is a difference of infinities where the loss is one. */
  if (call_now->form == DIVERGENCE && result->counts && !is_odd && !isfinite((double)result->loss)) return NULL;
  if (of_logits && call_now->options.z_loss != 0 && squares_leave(&first_row)) return NULL;
  for (int64_t c = 0; c < x->classes; c++) {
    real g = element(GRAD_LOSS, o, c, i, 1), slope = of_logits ? first_row.slope[c] : 1;
    real value = gradient[c] * g / divisor * slope, size = M(fabs)(sizes[c] * g / divisor * slope);
    if (is_odd) value = NAN;
    else if (of_logits && !first_row.stays[c]) value = size = 0;
    if (!result->counts) value = size = 0;
    /* A factor that is not finite makes NaN of a zero, or not: the header does not say. */
    if (!isfinite((double)(g / divisor)) && !is_odd && result->counts) continue;
    TRY(at_row(GRAD_LOGITS, o, c, i, value, size));
  }
  return NULL;
}

typedef struct {
  real loss, scale, weight;
  int64_t rows, correct;
} totals;

static const char *check_totals(const totals *sum, real divisor, int64_t elements, real count_weight) {
  const finished_call *c = call_now;
  xent_dtype real_type = c->type == F64 ? XENT_F64 : XENT_F32;
  bool is_mean = c->options.reduction == XENT_REDUCTION_MEAN || c->options.reduction == XENT_REDUCTION_MEAN_ROWS;
  bool is_empty = is_mean && (sum->rows == 0 || elements == 0);
  real loss = is_empty ? (c->options.empty_mean == XENT_ZERO ? 0 : (real)NAN) : sum->loss / divisor;
  if (c->tensors[REDUCED_LOSS] && (is_empty || divisor != 0))
    TRY(compare(REDUCED_LOSS, "loss", 0, 0, real_type, load_element(c->tensors[REDUCED_LOSS], 0, 0, 0), loss,
                is_empty ? 0 : M(fabs)(sum->scale / divisor)));
  if (c->loss_sum && (c->type == F64 || M(fabs)(sum->loss) < 1e37))
    TRY(compare(TENSORS, "loss_sum", 0, 0, real_type, *c->loss_sum, sum->loss, sum->scale));
  if (c->weight_sum) TRY(compare(TENSORS, "weight_sum", 0, 0, real_type, *c->weight_sum, count_weight, count_weight));
  if (c->rows_counted && *c->rows_counted != elements) return "rows_counted";
  if (c->correct && c->options.softcap == 0 && *c->correct != sum->correct) return "correct";
  return NULL;
}

static const char *check_binary(void) {
  const finished_call *c = call_now;
  const xent_tensor *x = c->tensors[LOGITS];
  int64_t rows = 0;
  totals sum = {0};
  for (int64_t n = 0; n < x->outer * x->inner; n++)
    rows += !c->tensors[ROW_MASK] || load_integer(c->tensors[ROW_MASK], n / x->inner, 0, n % x->inner);
  int32_t reduction = c->options.reduction;
  real divisor = reduction == XENT_REDUCTION_MEAN        ? (real)rows * x->classes
                 : reduction == XENT_REDUCTION_MEAN_ROWS ? (real)rows
                                                         : 1;
  for (int64_t n = 0; n < x->outer * x->inner; n++) {
    int64_t o = n / x->inner, i = n % x->inner;
    bool counts = !c->tensors[ROW_MASK] || load_integer(c->tensors[ROW_MASK], o, 0, i);
    for (int64_t k = 0; k < x->classes; k++) {
      row_result result = binary(o, k, i, &gradient[k], &sizes[k]);
      if (!counts) result.loss = result.scale = 0;
      TRY(at_row(ROW_LOSS, o, k, i, result.loss, result.scale));
      sum.loss += result.loss;
      sum.scale += result.scale;
    }
    row_result whole = {.counts = counts};
    TRY(check_gradient(&whole, o, i, divisor));
  }
  sum.rows = rows;
  return check_totals(&sum, divisor, rows * x->classes, (real)rows * x->classes);
}

const char *MISMATCH(const finished_call *c) {
  call_now = c;
  const xent_options *options = &c->options;
  const xent_tensor *x = c->tensors[LOGITS];
  is_simple = c->form != BINARY && c->form != DIVERGENCE && options->label_smoothing == 0 && options->temperature == 1 &&
              options->softcap == 0 && options->focal_gamma == 0 && options->poly_epsilon == 0 &&
              options->z_loss == 0 && !c->tensors[ENTROPY] && c->form != CE_PROBS && c->form != CE_SPARSE &&
              !c->tensors[GRAD_LOSS] && !c->tensors[CLASS_MASK];
  if (c->form == BINARY) return check_binary();
  totals sum = {0};
  bool is_beyond = false;
  int64_t rows = x->outer * x->inner;
  for (int64_t n = 0; n < rows && c->form < LOG_SOFTMAX_GRAD && c->form != SOFTMAX; n++) {
    row_result result = row_of_call(n / x->inner, n % x->inner);
    if (!result.counts) continue;
    sum.rows++;
    sum.weight += result.weight;
    sum.correct += c->form == CE_INDEX && x->classes && first_row.argmax == result.target;
  }
  int32_t reduction = options->reduction;
  real divisor = reduction == XENT_REDUCTION_MEAN        ? sum.weight
                 : reduction == XENT_REDUCTION_MEAN_ROWS ? (real)sum.rows
                                                         : 1;
  if (c->form == SOFTMAX || c->form >= LOG_SOFTMAX_GRAD) divisor = 1;
  for (int64_t n = 0; n < rows; n++) {
    int64_t o = n / x->inner, i = n % x->inner;
    row_result result = {.counts = true};
    if (c->form >= LOG_SOFTMAX_GRAD) set_backward(o, i);
    else result = row_of_call(o, i);
    if (1 << c->form & WITH_PROBS) TRY(check_statistics(&first_row, &result, o, i));
    bool leaves = 1 << c->form & WITH_PROBS && squares_leave(&first_row);
    if (leaves) is_beyond = true;
    if (1 << c->form & WITH_LOSS && !(leaves && options->z_loss != 0)) TRY(at_row(ROW_LOSS, o, 0, i, result.loss, result.scale));
    sum.loss += result.loss;
    sum.scale += result.scale < M(fabs)(result.loss) ? M(fabs)(result.loss) : result.scale;
    TRY(check_gradient(&result, o, i, divisor));
  }
  if (!(1 << c->form & WITH_LOSS) || (is_beyond && options->z_loss != 0)) return NULL;
  return check_totals(&sum, divisor, sum.rows, sum.weight);
}
