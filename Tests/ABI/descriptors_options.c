/* SPDX-License-Identifier: Apache-2.0
 *
 * The values of every option, up to their limits (beyond: refusals.txt); and "What goes together" of xent.h, cell by cell.
 */
#include "refusal.h"

#include <float.h>
#include <unistd.h>

/* ---- Values ----------------------------------------------------------------------------------------------------- */

#define FIELD(name) #name, offsetof(xent_options, name)

static const struct {
  const char *name;
  size_t offset;
  unsigned forms;
  double right[4];
} reals[] = {
    {FIELD(temperature), OF_LOGITS, {1, 0x1p-100, 0x1p100, DBL_MIN}},
    {FIELD(softcap), OF_LOGITS, {0, -0.0, 0x1p-20, 0x1p100}},
    {FIELD(label_smoothing), CROSS_ENTROPIES, {0, -0.0, 1, DBL_MIN}},
    {FIELD(focal_gamma), 1 << CE_INDEX, {0, -0.0, 100, DBL_MIN}},
    {FIELD(poly_epsilon), 1 << CE_INDEX, {0, -1, 100, DBL_MIN}},
    {FIELD(z_loss), WITH_PROBS, {0, -0.0, 100, DBL_MIN}},
};

static const struct {
  const char *name;
  size_t offset;
  unsigned forms;
  int count;
  int32_t right[4];
} integers[] = {
    {FIELD(reduction), WITH_LOSS, 4, {0, 1, 2, 3}},
    {FIELD(smoothing), 1 << CE_INDEX, 2, {0, 1}},
    {FIELD(empty_mean), WITH_LOSS, 2, {0, 1}},
    {FIELD(masked_row), OF_LOGITS, 2, {0, 1}},
    {FIELD(divergence), 1 << DIVERGENCE, 4, {0, 1, 2, 3}},
    {FIELD(num_threads), WITH_OPTIONS, 4, {0, 1, 3, XENT_MAX_THREADS}},
    {FIELD(accuracy), WITH_OPTIONS, 2, {0, 1}},
};

static void check_right(call *c, size_t offset, const void *value, size_t size, const char *name, double shown) {
  memcpy((char *)&c->options + offset, value, size);
  xent_status status = run_call(c, NULL);
  because("%s", xent_last_error());
  CHECK(status == XENT_OK, "%s: %s %g", call_label(c), name, shown);
}

static void check_values(form form, dtype type) {
  for (size_t k = 0; k < sizeof reals / sizeof *reals; k++) {
    if (!(reals[k].forms >> form & 1)) continue;
    call c = make_call(form, type, 3, 9, 2, variants, false, 1);
    for (int n = 0; n < 4; n++)
      check_right(&c, reals[k].offset, &reals[k].right[n], sizeof(double), reals[k].name, reals[k].right[n]);
    free_call(&c);
  }
  for (size_t k = 0; k < sizeof integers / sizeof *integers; k++) {
    if (!(integers[k].forms >> form & 1)) continue;
    call c = make_call(form, type, 3, 9, 2, variants, false, 1);
    c.has[REDUCED_LOSS] = false;
    for (int n = 0; n < integers[k].count; n++)
      check_right(&c, integers[k].offset, &integers[k].right[n], sizeof(int32_t), integers[k].name, integers[k].right[n]);
    free_call(&c);
  }
}

/* ---- What goes together ----------------------------------------------------------------------------------------- */

typedef enum {
  REAL_OPTION,
  INTEGER_OPTION,
  IGNORED,
  OPTION_TENSOR,
  SCALAR_TENSOR,
  OUTPUT_TENSOR,
  OUTPUT_SUM
} item_kind;

#define REAL(name, value, cells) {#name, REAL_OPTION, offsetof(xent_options, name), value, TENSORS, cells}
#define INTEGER(name, value, cells) {#name, INTEGER_OPTION, offsetof(xent_options, name), value, TENSORS, cells}
#define SUM(name, cells) {#name, OUTPUT_SUM, offsetof(xent_outputs, name), 0, TENSORS, cells}

/* An option that is not at its default, or an output, with a cell for each form: '+' and '-' as in the header, '='
 * where it is accepted because nothing is compared with it, ' ' where it makes another form of the call. */
static const struct item {
  const char *name;
  item_kind kind;
  size_t offset;
  double value;
  tensor tensor;
  const char *cells;
} items[] = {
    REAL(temperature, 2, "++++--+"),
    REAL(softcap, 5, "++++--+"),
    {"class_mask", OPTION_TENSOR, 0, 0, CLASS_MASK, "++++--+"},
    {"ignore_index", IGNORED, 0, -7, TENSORS, "=++=+=="},
    {"ignore_index", IGNORED, 0, 3, TENSORS, "=++-+=="},
    {"row_mask", OPTION_TENSOR, 0, 0, ROW_MASK, "+++++++"},
    INTEGER(masked_row, XENT_ZERO, "++++--+"),
    {"weight", OPTION_TENSOR, 0, 0, WEIGHT, "-+++++-"},
    INTEGER(accuracy, XENT_ACCURACY_FASTEST, "+++++++"),
    REAL(label_smoothing, 0.1, "-+++---"),
    INTEGER(smoothing, XENT_SMOOTHING_UNIFORM, "-+-----"),
    REAL(focal_gamma, 2, "-+-----"),
    REAL(poly_epsilon, 1, "-+-----"),
    REAL(z_loss, 0.1, "++++---"),
    {"target_probs", OPTION_TENSOR, 0, 0, TARGET_PROBS, "- +----"},
    {"pos_weight", OPTION_TENSOR, 0, 0, POS_WEIGHT, "-----+-"},
    {"grad_loss", OPTION_TENSOR, 0, 0, GRAD_LOSS, "+++++++"},
    {"grad_loss", SCALAR_TENSOR, 0, 0, GRAD_LOSS, "+++++++"},
    {"loss", OUTPUT_TENSOR, 0, 0, REDUCED_LOSS, "-++++++"},
    {"row_loss", OUTPUT_TENSOR, 0, 0, ROW_LOSS, "-++++++"},
    SUM(loss_sum, "-++++++"),
    {"grad_logits", OUTPUT_TENSOR, 0, 0, GRAD_LOGITS, "+++++++"},
    SUM(weight_sum, "-++++++"),
    SUM(rows_counted, "-++++++"),
    {"probs", OUTPUT_TENSOR, 0, 0, PROBS, "++++---"},
    {"log_probs", OUTPUT_TENSOR, 0, 0, LOG_PROBS, "++++---"},
    {"lse", OUTPUT_TENSOR, 0, 0, LSE, "++++---"},
    {"entropy", OUTPUT_TENSOR, 0, 0, ENTROPY, "++++---"},
    {"argmax", OUTPUT_TENSOR, 0, 0, ARGMAX, "++++---"},
    {"max_logit", OUTPUT_TENSOR, 0, 0, MAX_LOGIT, "++++---"},
    {"top_indices", OUTPUT_TENSOR, 0, 0, TOP_INDICES, "++++---"},
    {"top_log_probs", OUTPUT_TENSOR, 0, 0, TOP_LOG_PROBS, "++++---"},
    {"gathered", OUTPUT_TENSOR, 0, 0, GATHERED, "++++---"},
    {"target_log_prob", OUTPUT_TENSOR, 0, 0, TARGET_LOG_PROB, "-+-----"},
    {"target_rank", OUTPUT_TENSOR, 0, 0, TARGET_RANK, "-+-----"},
    SUM(correct, "-+-----"),
    {"z_loss", OUTPUT_TENSOR, 0, 0, Z_LOSS, "++++---"},
};
enum { ITEMS = sizeof items / sizeof *items };

/* The only pairs of options that a form takes one by one and not together. */
static const char *const apart[][2] = {{"label_smoothing", "focal_gamma"}, {"label_smoothing", "poly_epsilon"}};

/* As error texts call the columns. */
static const char *const columns[] = {"xent_softmax", "index targets", "sparse targets", "probability targets",
                                      "xent_nll", "xent_binary_cross_entropy", "xent_divergence"};

static bool is_option(const struct item *i) { return i->kind < OUTPUT_TENSOR; }

/* The targets that are ignored stay so. */
static void ignore(call *c, int64_t index) {
  int64_t *targets = c->tensors[TARGETS].data;
  for (int64_t n = 0; c->tensors[TARGETS].dtype == XENT_I64 && n < tensor_count(&c->tensors[TARGETS]); n++)
    if (targets[n] == c->options.ignore_index) targets[n] = index;
  c->options.ignore_index = index;
}

static void add_item(call *c, const struct item *i, xent_outputs *outputs, sums *sums) {
  const int32_t integer = (int32_t)i->value;
  void *sum = sums;
  switch (i->kind) {
    case REAL_OPTION: memcpy((char *)&c->options + i->offset, &i->value, sizeof i->value); break;
    case INTEGER_OPTION: memcpy((char *)&c->options + i->offset, &integer, sizeof integer); break;
    case IGNORED: ignore(c, (int64_t)i->value); break;
    case OUTPUT_SUM: memcpy((char *)outputs + i->offset, &sum, sizeof sum); break;
    default:
      if (i->tensor == GATHERED && is_taken(c->form, GATHER)) add_tensor(c, GATHER, false, 1);
      if (!c->has[i->tensor]) add_tensor(c, i->tensor, false, 1);
      if (i->kind == SCALAR_TENSOR) c->tensors[i->tensor].outer = c->tensors[i->tensor].inner = 1;
  }
}

/* A call of the form with nothing but its arguments. */
static call make_bare_call(form form, dtype type) {
  call c = make_call(form, type, 4, 9, 3, variants, false, 1);
  for (tensor t = WEIGHT; t < TENSORS; t++) c.has[t] = t == TARGET_PROBS && form == CE_SPARSE;
  c.has_sums = false;
  return c;
}

static void check_cell(form form, dtype type, const struct item *i) {
  call c = make_bare_call(form, type);
  xent_options options;
  xent_outputs outputs = XENT_OUTPUTS_INIT, sum_outputs = XENT_OUTPUTS_INIT;
  sums sums;
  char what[80];
  add_item(&c, i, &sum_outputs, &sums);
  connect(&c, &options, &outputs);
  if (i->kind == OUTPUT_SUM) outputs = sum_outputs;
  if (i->cells[form] == '-') {
    snprintf(what, sizeof what, "%s does not go with %s", i->name, columns[form]);
    check_refused(&c, &options, &outputs, XENT_ERR_UNSUPPORTED, i->name, columns[form], what);
  } else if (i->cells[form] != ' ') {
    xent_status status = call_with(&c, &options, &outputs, NULL);
    because("%s", xent_last_error());
    CHECK(status == XENT_OK, "%s %s: %s", form_specs[form].label, dtype_name(type),
          i->name);
  }
  free_call(&c);
}

static bool are_apart(const struct item *a, const struct item *b) {
  for (size_t k = 0; k < sizeof apart / sizeof *apart; k++)
    for (int turn = 0; turn < 2; turn++)
      if (!strcmp(a->name, apart[k][turn]) && !strcmp(b->name, apart[k][!turn])) return true;
  return false;
}

/* Any two options that go with a form go with each other, but for the pairs named above. */
static void check_pair(form form, dtype type, const struct item *a, const struct item *b) {
  if (a->cells[form] != '+' || b->cells[form] != '+' || !strcmp(a->name, b->name)) return;
  call c = make_call(form, type, 4, 9, 3, variants, false, 1);
  char what[120];
  snprintf(what, sizeof what, "%s and %s", a->name, b->name);
  add_item(&c, a, NULL, NULL);
  add_item(&c, b, NULL, NULL);
  if (are_apart(a, b)) {
    check_call_refused(&c, XENT_ERR_UNSUPPORTED, a->name, b->name, what);
  } else {
    xent_status status = run_call(&c, NULL);
    because("%s", xent_last_error());
    CHECK(status == XENT_OK, "%s: %s", call_label(&c), what);
  }
  free_call(&c);
}

static void check_loss_with_none(form form, dtype type) {
  call c = make_call(form, type, 4, 9, 3, variants, false, 1);
  c.options.reduction = XENT_REDUCTION_NONE;
  check_call_refused(&c, XENT_ERR_UNSUPPORTED, "loss", "reduction", "loss with reduction none");
  free_call(&c);
}

int main(void) {
  alarm(300);
  for (form form = 0; form < LOG_SOFTMAX_GRAD; form++)
    for (dtype type = F32; type < DTYPES; type++) {
      check_values(form, type);
      if (WITH_LOSS >> form & 1) check_loss_with_none(form, type);
      for (int i = 0; i < ITEMS; i++) {
        check_cell(form, type, &items[i]);
        for (int j = 0; j < i; j++)
          if (is_option(&items[i]) && is_option(&items[j])) check_pair(form, type, &items[i], &items[j]);
      }
    }
  return check_summary();
}
