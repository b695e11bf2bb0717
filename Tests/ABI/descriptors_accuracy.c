/* SPDX-License-Identifier: Apache-2.0
 *
 * XENT_ACCURACY_FASTEST: probabilities and gradients within what xent.h says of those in f64; the same bits in place, in any
 * layout and company, and for any number of threads; and whatever it does not concern as without it.
 */
#include "check.h"
#include "corpus.h"
#include "descriptors.h"

#include <unistd.h>

static const int64_t widths[] = {1, 40, 300, 2047, 2048, 2049, 2050, 2063, 2064, 2100, 2112, 4096, 4097, 6000, 18437};
enum { WIDTHS = sizeof widths / sizeof *widths, LONG = 2048 };

/* Logits of every style, a row each. */
static call make(form form, dtype type, int64_t classes, const variant *v) {
  call c = make_call(form, type, STYLES, classes, 1, v, false, (uint64_t)classes);
  fill_matrix(c.tensors[LOGITS].data, type, STYLES, classes, 0, false, (uint64_t)classes);
  return c;
}

static void want_only(call *c, tensor t) {
  for (tensor other = REDUCED_LOSS; other < TENSORS; other++) c->has[other] &= other == t;
}

/* Runs with the accuracy, and puts the output in place of the logits if `is_in_place`. */
static void run(call *c, tensor output, int32_t accuracy, bool is_in_place) {
  c->options.accuracy = accuracy;
  if (is_in_place) c->tensors[output] = c->tensors[LOGITS];
  xent_status status = run_call(c, NULL);
  because("%s", xent_last_error());
  CHECK(status == XENT_OK, "%s, accuracy %d", call_label(c), (int)accuracy);
}

/* A unit in the last place of a number of the dtype, which has `digits` of them and none below 2^lowest. */
static double ulp(double x, dtype type) {
  static const int digits[] = {[F32] = 24, [F16] = 11, [BF16] = 8}, lowest[] = {[F32] = -149, [F16] = -24, [BF16] = -133};
  int exponent;
  frexp(x, &exponent);
  exponent -= digits[type];
  return ldexp(1, exponent < lowest[type] ? lowest[type] : exponent);
}

/* The largest error in ulps, INFINITY where one is NaN and not the other. */
static double largest_error(const xent_tensor *got, const xent_tensor *exact, dtype type) {
  double largest = 0;
  for (int64_t row = 0; row < got->outer; row++)
    for (int64_t j = 0; j < got->classes; j++) {
      double x = load_element(got, row, j, 0), y = load_element(exact, row, j, 0);
      if (isnan(x) && isnan(y)) continue;
      double error = x == y ? 0 : fabs(x - y) / ulp(y, type);
      largest = error <= largest ? largest : isnan(error) ? INFINITY : error;
    }
  return largest;
}

static void check_bound(const call *c, tensor output) {
  call exact = make(c->form, c->type, c->classes, c->variant);
  exact.options.accuracy = XENT_ACCURACY_FAITHFUL;
  for (tensor t = 0; t < TENSORS; t++)
    if (exact.has[t] && is_floating(exact.tensors[t].dtype)) retype_tensor(&exact, t, XENT_F64);
  REQUIRE(run_call(&exact, NULL) == XENT_OK);
  double error = largest_error(&c->tensors[output], &exact.tensors[output], c->type);
  /* In 16 bits the neighbour of the correctly rounded number; 2^-12 is what the rounding to f32 before may have added. */
  double bound = c->type == F32 ? 3 : 1 + 0x1p-12;
  because("%.3f ulp", error);
  CHECK(error <= bound, "%s: %s", call_label(c), tensor_name(c->form, output));
  free_call(&exact);
}

/* The output alone, in the ways in which it may be made, against the same with all others. */
static void check_bits(const call *all, tensor output) {
  static const struct {
    const char *name;
    int32_t threads;
    bool is_in_place;
  } ways[] = {{"alone", 1, false}, {"in place", 1, true}, {"in place, 2 threads", 2, true}, {"alone, 5 threads", 5, false}};
  for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
    call c = make(all->form, all->type, all->classes, all->variant);
    want_only(&c, output);
    c.options.num_threads = ways[k].threads;
    run(&c, output, XENT_ACCURACY_FASTEST, ways[k].is_in_place);
    CHECK(same_elements(&c.tensors[output], &all->tensors[output]), "%s: %s %s", call_label(&c),
          tensor_name(c.form, output), ways[k].name);
    free_call(&c);
  }
  /* At the baseline, where fma is software, some of the layouts for each call. */
  static int turn;
  int pace = strcmp(xent_cpu_level(), "baseline") ? 1 : 4;
  for (int k = turn++ % pace; k < layout_count; k += pace) {
    if (layouts[k].broadcast) continue;
    call c = make(all->form, all->type, all->classes, all->variant);
    want_only(&c, output);
    move_tensor(&c, LOGITS, &layouts[k]);
    move_tensor(&c, output, &layouts[k]);
    run(&c, output, XENT_ACCURACY_FASTEST, false);
    CHECK(same_elements(&c.tensors[output], &all->tensors[output]) && is_rest_untouched(&c, output), "%s: %s %s",
          call_label(&c), tensor_name(c.form, output), layouts[k].name);
    free_call(&c);
  }
}

static void check_call(form form, dtype type, int64_t classes, const variant *v) {
  call faithful = make(form, type, classes, v), fastest = make(form, type, classes, v);
  run(&faithful, PROBS, XENT_ACCURACY_FAITHFUL, false);
  run(&fastest, PROBS, XENT_ACCURACY_FASTEST, false);
  bool is_same = true;
  for (tensor t = REDUCED_LOSS; t < TENSORS; t++) {
    if (!fastest.has[t]) continue;
    if (t == PROBS || t == GRAD_LOGITS) {
      is_same &= same_elements(&fastest.tensors[t], &faithful.tensors[t]);
      check_bound(&fastest, t);
      check_bits(&fastest, t);
    } else {
      CHECK(same_elements(&fastest.tensors[t], &faithful.tensors[t]), "%s: %s as without", call_label(&fastest),
            tensor_name(form, t));
    }
  }
  if (type == F32 && classes > LONG) CHECK(!is_same, "%s: the accuracy matters", call_label(&fastest));
  free_call(&faithful);
  free_call(&fastest);
}

/* One row that threads share. */
static void check_pieces(form form, tensor output) {
  call c[2];
  for (int k = 0; k < 2; k++) {
    c[k] = make_call(form, F32, 1, 300001, 1, variants, false, 5);
    want_only(&c[k], output);
    c[k].options.num_threads = 1 + k;
    run(&c[k], output, XENT_ACCURACY_FASTEST, true);
  }
  CHECK(same_elements(&c[0].tensors[output], &c[1].tensors[output]), "%s: in pieces", call_label(&c[0]));
  free_call(&c[0]);
  free_call(&c[1]);
}

int main(void) {
  static const form forms[] = {SOFTMAX, CE_INDEX};
  static const dtype types[] = {F32, F16, BF16};
  static const char *const sets[] = {"defaults", "weights, mean", "sum, upstream"};
  alarm(600);
  for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
    for (size_t t = 0; t < sizeof types / sizeof *types; t++)
      for (size_t s = 0; s < sizeof sets / sizeof *sets; s++) {
        const variant *v = variant_named(sets[s]);
        for (int w = 0; v->forms >> forms[f] & 1 && w < WIDTHS; w++) check_call(forms[f], types[t], widths[w], v);
      }
  check_pieces(SOFTMAX, PROBS);
  check_pieces(CE_INDEX, GRAD_LOGITS);
  return check_summary();
}
