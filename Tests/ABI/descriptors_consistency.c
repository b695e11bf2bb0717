/* SPDX-License-Identifier: Apache-2.0
 *
 * Outputs of descriptor calls against each other and against what a few lines of C say: statistics are those of
 * xent_softmax, whatever the targets; ranks, maxima and counts are recounted; two half batches make the whole; rows
 * that do not count are 0 where xent.h says so, and only there.
 */
#include "check.h"
#include "descriptors.h"

#include <float.h>
#include <math.h>
#include <unistd.h>

static const int64_t shapes[][3] = {{6, 7, 1}, {4, 20, 4}, {2, 300, 1}, {2, 65, 33},
                                    {8, 1, 3}, {0, 5, 2},  {4, 0, 3},   {2, 4, 0}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* The row's outer and inner index. */
#define AT_ROW(c, row) (row) / (c)->inner, 0, (row) % (c)->inner

static int64_t rows_of(const call *c) { return c->outer * c->inner; }

static double per_row(const call *c, tensor t, int64_t row) { return load_element(&c->tensors[t], AT_ROW(c, row)); }

static int64_t integer_per_row(const call *c, tensor t, int64_t row) {
  return load_integer(&c->tensors[t], AT_ROW(c, row));
}

/* The logit with the masked-out classes at -inf. */
static double logit(const call *c, int64_t row, int64_t class) {
  if (c->has[CLASS_MASK] && !load_integer(&c->tensors[CLASS_MASK], 0, class, 0)) return -INFINITY;
  return load_element(&c->tensors[LOGITS], row / c->inner, class, row % c->inner);
}

static bool counts(const call *c, int64_t row) {
  bool has_entry = c->form != CE_INDEX && c->form != CE_SPARSE && c->form != NLL;
  bool is_masked = c->options.masked_row == XENT_ZERO;
  for (int64_t k = 0; !has_entry && k < c->tensors[TARGETS].classes; k++)
    has_entry = load_integer(&c->tensors[TARGETS], row / c->inner, k, row % c->inner) != c->options.ignore_index;
  for (int64_t j = 0; is_masked && j < c->classes; j++) is_masked = logit(c, row, j) == -INFINITY;
  if (c->form == DIVERGENCE && c->options.masked_row == XENT_ZERO && !is_masked) {
    call teacher = *c;
    teacher.tensors[LOGITS] = c->tensors[TARGETS];
    teacher.form = SOFTMAX;
    return counts(&teacher, row);
  }
  return has_entry && !is_masked && !(c->has[ROW_MASK] && !integer_per_row(c, ROW_MASK, row));
}

static bool is_close(double a, double b, double relative) {
  return (isnan(a) && isnan(b)) || a == b || fabs(a - b) <= relative * fmax(fabs(a), fabs(b));
}

/* ---- Against a recount ------------------------------------------------------------------------------------------ */

/* Whether class a comes before class b among the largest: NaN first, of equals the first. */
static bool comes_before(double x, int64_t a, double y, int64_t b) {
  if (isnan(x) || isnan(y)) return isnan(x) && (!isnan(y) || a < b);
  return x > y || (x == y && a < b);
}

static const char *recount_row(const call *c, int64_t row) {
  int64_t argmax = c->classes ? 0 : -1;
  bool has_nan = false;
  for (int64_t j = 0; j < c->classes; j++) {
    if (comes_before(logit(c, row, j), j, logit(c, row, argmax), argmax)) argmax = j;
    has_nan |= isnan(logit(c, row, j));
  }
  if (integer_per_row(c, ARGMAX, row) != argmax) return "argmax";
  double max = has_nan ? NAN : c->classes ? logit(c, row, argmax) : -INFINITY;
  if (c->options.temperature == 1 && c->options.softcap == 0 && !is_close(per_row(c, MAX_LOGIT, row), max, 0))
    return "max_logit";

  const xent_tensor *top = &c->tensors[TOP_INDICES];
  for (int64_t k = 0; k < top->classes; k++) {
    int64_t chosen = load_integer(top, row / c->inner, k, row % c->inner), before = 0;
    if (chosen < 0 || chosen >= c->classes) return "top_indices";
    for (int64_t j = 0; j < c->classes; j++) before += comes_before(logit(c, row, j), j, logit(c, row, chosen), chosen);
    if (before != k) return "top_indices";
    double log_prob = load_element(&c->tensors[LOG_PROBS], row / c->inner, chosen, row % c->inner);
    double listed = load_element(&c->tensors[TOP_LOG_PROBS], row / c->inner, k, row % c->inner);
    double ulp = c->type == F64 ? 2 * DBL_EPSILON : c->type == F32 ? FLT_EPSILON : c->type == F16 ? 0x1p-10 : 0x1p-7;
    bool are_tiny = fabs(listed) < 0x1p-14 && fabs(log_prob) < 0x1p-13; /* subnormal in f16 */
    if (!is_close(log_prob, listed, ulp) && !are_tiny) return "top_log_probs";
  }
  if (c->form != CE_INDEX) return NULL;

  int64_t target = integer_per_row(c, TARGETS, row), rank = 0;
  double z = counts(c, row) ? logit(c, row, target) : 0;
  for (int64_t j = 0; counts(c, row) && j < c->classes; j++)
    rank += logit(c, row, j) > z || (logit(c, row, j) == z && j < target);
  return integer_per_row(c, TARGET_RANK, row) == (counts(c, row) ? rank : -1) ? NULL : "target_rank";
}

static void check_recount(call *c) {
  const char *wrong = NULL;
  int64_t rows_counted = 0, correct = 0, row = 0, wrong_row = 0;
  double weight_sum = 0, loss_sum = 0;
  for (; row < rows_of(c); row++) {
    const char *what = WITH_PROBS >> c->form & 1 ? recount_row(c, row) : NULL;
    if (what && !wrong) wrong = what, wrong_row = row;
    for (int64_t j = 0; c->has[ROW_LOSS] && j < c->tensors[ROW_LOSS].classes; j++)
      loss_sum += load_element(&c->tensors[ROW_LOSS], row / c->inner, j, row % c->inner);
    if (!counts(c, row)) continue;
    rows_counted++;
    if (c->form == CE_INDEX) correct += integer_per_row(c, ARGMAX, row) == integer_per_row(c, TARGETS, row);
    bool has_weight = (c->form == CE_INDEX || c->form == NLL) && c->has[WEIGHT];
    weight_sum += has_weight ? load_element(&c->tensors[WEIGHT], 0, integer_per_row(c, TARGETS, row), 0) : 1;
  }
  double rows = (double)rows_counted;
  if (c->form == BINARY) weight_sum *= (double)c->classes, rows_counted *= c->classes;
  because("%s of row %lld", wrong ? wrong : "", (long long)wrong_row);
  CHECK(!wrong, "%s: recounted", call_label(c));
  if (!c->has_sums) return;
  because("%lld, not %lld", (long long)c->sums.rows_counted, (long long)rows_counted);
  CHECK(c->sums.rows_counted == rows_counted, "%s: rows_counted", call_label(c));
  because("%lld, not %lld", (long long)c->sums.correct, (long long)correct);
  CHECK(c->form != CE_INDEX || c->sums.correct == correct, "%s: correct", call_label(c));
  because("%.17g, not %.17g", c->sums.weight_sum, weight_sum);
  CHECK(is_close(c->sums.weight_sum, weight_sum, 1e-13), "%s: weight_sum", call_label(c));
  double relative = c->type == F64 ? 1e-13 : 2 * FLT_EPSILON;
  because("%.17g, not %.17g", c->sums.loss_sum, loss_sum);
  CHECK(is_close(c->sums.loss_sum, loss_sum, relative), "%s: loss_sum is the sum of row_loss", call_label(c));
  if (!c->has[REDUCED_LOSS]) return;
  bool is_mean = c->options.reduction == XENT_REDUCTION_MEAN, is_sum = c->options.reduction == XENT_REDUCTION_SUM;
  double wanted = loss_sum / (is_sum ? 1 : is_mean ? weight_sum : rows);
  if (!is_sum && !rows_counted) wanted = c->options.empty_mean == XENT_ZERO ? 0 : NAN;
  because("%.17g, not %.17g", load_element(&c->tensors[REDUCED_LOSS], 0, 0, 0), wanted);
  CHECK(is_close(load_element(&c->tensors[REDUCED_LOSS], 0, 0, 0), wanted, relative), "%s: loss", call_label(c));
}

/* ---- Rows that do not count ------------------------------------------------------------------------------------- */

static bool is_zero_row(const call *c, tensor t, int64_t row) {
  for (int64_t j = 0; j < c->tensors[t].classes; j++)
    if (load_element(&c->tensors[t], row / c->inner, j, row % c->inner) != 0) return false;
  return true;
}

static void check_rows_not_counted(const call *c) {
  static const tensor zeros[] = {ROW_LOSS, GRAD_LOGITS, TARGET_LOG_PROB, Z_LOSS};
  for (size_t k = 0; k < sizeof zeros / sizeof *zeros; k++) {
    bool fine = true;
    for (int64_t row = 0; c->has[zeros[k]] && row < rows_of(c); row++)
      fine &= counts(c, row) || is_zero_row(c, zeros[k], row);
    CHECK(fine, "%s: %s of rows that do not count", call_label(c), tensor_specs[zeros[k]].name);
  }
  bool fine = true;
  for (int64_t row = 0; c->has[PROBS] && row < rows_of(c); row++) {
    bool is_masked = c->options.masked_row == XENT_ZERO;
    for (int64_t j = 0; j < c->classes; j++) is_masked &= logit(c, row, j) == -INFINITY;
    fine &= !is_masked || is_zero_row(c, PROBS, row);
  }
  CHECK(fine, "%s: probs of a row of masks", call_label(c));
}

/* ---- Calls against each other ----------------------------------------------------------------------------------- */

/* What is known without a target, against xent_softmax; targets' log-probabilities by way of gather. */
static void check_statistics(const call *c) {
  call softmax = make_call(SOFTMAX, c->type, c->outer, c->classes, c->inner, c->variant, false, 1);
  for (tensor t = 0; t < TENSORS; t++)
    if (c->has[t] && softmax.has[t] && !is_output(t)) copy_elements(&softmax.tensors[t], &c->tensors[t]);
  softmax.has[GRAD_LOGITS] = softmax.has[Z_LOSS] = softmax.has[ROW_MASK] = softmax.has[GRAD_LOSS] = false;
  softmax.has[CLASS_MASK] = c->has[CLASS_MASK];
  softmax.options = c->options;
  softmax.options.label_smoothing = softmax.options.focal_gamma = softmax.options.poly_epsilon = 0;
  softmax.options.smoothing = 0;
  for (int64_t row = 0; c->form == CE_INDEX && row < rows_of(c) && softmax.tensors[GATHER].classes; row++)
    store_integer(&softmax.tensors[GATHER], AT_ROW(c, row), counts(c, row) ? integer_per_row(c, TARGETS, row) : 0);
  bool gathered = softmax.has[GATHERED] && c->form == CE_INDEX, is_close_enough = true;
  call other = *c;
  other.has[GATHERED] &= !gathered;
  xent_status status = run_call(&softmax, NULL);
  because("%s", xent_last_error());
  if (CHECK(status == XENT_OK, "%s: xent_softmax of the same", call_label(c))) {
    const char *different = different_output(&softmax, &other);
    because("%s", different ? different : "");
    CHECK(!different, "%s: statistics as of xent_softmax", call_label(c));
    for (int64_t row = 0; gathered && softmax.tensors[GATHER].classes && row < rows_of(c); row++)
      is_close_enough &= !counts(c, row) || is_close(per_row(&softmax, GATHERED, row), per_row(c, TARGET_LOG_PROB, row),
                                                     c->type == F64 ? 2 * DBL_EPSILON : FLT_EPSILON);
    CHECK(is_close_enough, "%s: target_log_prob as gathered", call_label(c));
  }
  free_call(&softmax);
}

/* The losses of rows do not depend on the reduction. */
static void check_reductions(const call *c) {
  call other = *c;
  for (int32_t reduction = XENT_REDUCTION_NONE; reduction < REDUCTIONS; reduction++) {
    xent_tensor row_loss = c->tensors[ROW_LOSS];
    REQUIRE(row_loss.data = calloc((size_t)tensor_count(&row_loss) + 1, 8));
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++) other.has[t] = t == ROW_LOSS;
    other.tensors[ROW_LOSS] = row_loss;
    other.options.reduction = reduction;
    xent_status status = run_call(&other, NULL);
    const char *different = status == XENT_OK ? different_output(&other, c) : xent_last_error();
    because("%s", different ? different : "");
    CHECK(!different, "%s: row_loss and sums with reduction %d", call_label(c), (int)reduction);
    free(row_loss.data);
  }
}

/* The batch cut in two along outer. */
static void check_halves(const call *c) {
  sums total = {0, 0, 0, 0};
  for (int half = 0; half < 2; half++) {
    call part = *c;
    for (tensor t = 0; t < TENSORS; t++) {
      xent_tensor *x = &part.tensors[t];
      if (!c->has[t] || x->outer != c->outer || (t == REDUCED_LOSS || t == WEIGHT || t == CLASS_MASK)) continue;
      if (t == POS_WEIGHT && !(c->variant->whole >> t & 1)) continue;
      x->outer = half ? c->outer - c->outer / 2 : c->outer / 2;
      if (half) x->data = element_at(x, c->outer / 2, 0, 0);
    }
    if (c->variant->whole >> WEIGHT & 1) {
      xent_tensor *x = &part.tensors[WEIGHT];
      x->outer = part.tensors[LOGITS].outer;
      if (half) x->data = element_at(x, c->outer / 2, 0, 0);
    }
    part.outer = part.tensors[LOGITS].outer;
    for (tensor t = REDUCED_LOSS; t < TENSORS; t++) part.has[t] = false;
    xent_status status = run_call(&part, NULL);
    because("%s", xent_last_error());
    if (!CHECK(status == XENT_OK, "%s: half %d", call_label(c), half)) return;
    if (c->form == CE_INDEX) total.correct += part.sums.correct;
    total.rows_counted += part.sums.rows_counted;
    total.loss_sum += part.sums.loss_sum;
    total.weight_sum += part.sums.weight_sum;
  }
  CHECK(total.rows_counted == c->sums.rows_counted && (c->form != CE_INDEX || total.correct == c->sums.correct),
        "%s: counts of two halves", call_label(c));
  if (!c->has[REDUCED_LOSS] || c->options.reduction != XENT_REDUCTION_MEAN) return;
  double mean = total.loss_sum / total.weight_sum, loss = load_element(&c->tensors[REDUCED_LOSS], 0, 0, 0);
  if (!total.rows_counted && c->options.empty_mean == XENT_ZERO) mean = 0;
  because("%.17g, not %.17g", mean, loss);
  CHECK(is_close(mean, loss, c->type == F64 ? 1e-13 : 2 * FLT_EPSILON), "%s: the mean of two halves", call_label(c));
}

int main(void) {
  alarm(600);
  for (form form = 0; form < LOG_SOFTMAX_GRAD; form++)
    for (dtype type = F32; type < DTYPES; type++)
      for (int v = 0; v < variant_count; v++)
        for (int s = 0; s < SHAPES; s++)
          for (int is_wild = 0; is_wild < 2; is_wild++) {
            if (!(variants[v].forms >> form & 1)) continue;
            call c = make_call(form, type, shapes[s][0], shapes[s][1], shapes[s][2], &variants[v], is_wild, 40);
            xent_status status = run_call(&c, NULL);
            because("%s", xent_last_error());
            if (CHECK(status == XENT_OK, "%s", call_label(&c))) {
              check_recount(&c);
              check_rows_not_counted(&c);
              if (CROSS_ENTROPIES >> form & 1) check_statistics(&c);
              if (c.has_sums) check_reductions(&c);
              if (c.has_sums) check_halves(&c);
            }
            free_call(&c);
          }
  return check_summary();
}
