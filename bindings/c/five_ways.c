/* SPDX-License-Identifier: Apache-2.0
 *
 * One loss, five ways: whichever way the cross-entropy is put together, the numbers are the same. Prints a line
 *
 *   <sample> TAB <way> TAB <reduction> TAB <numbers>
 *
 * for each; bindings/python/examples/five_ways.py prints the same lines and shows both side by side.
 */
#include <xent.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CLASSES 3
#define MAX_ROWS 3

typedef struct {
  const char *name;
  int64_t rows;
  float logits[MAX_ROWS * CLASSES];
  int64_t targets[MAX_ROWS];
} sample;

/* Fills log_probs from logits: the half of the loss in which ways 2 to 5 differ. */
typedef void (*log_probs_way)(const sample *s, float *log_probs);

static void check(xent_status status) {
  if (status == XENT_OK) return;
  fprintf(stderr, "%s\n", xent_last_error());
  exit(1);
}

static void by_log_softmax(const sample *s, float *log_probs) {
  check(xent_log_softmax_f32(s->logits, s->rows, CLASSES, log_probs));
}

static void by_log_of_softmax(const sample *s, float *log_probs) {
  int64_t k;
  check(xent_softmax_f32(s->logits, s->rows, CLASSES, log_probs));
  for (k = 0; k < s->rows * CLASSES; k++) log_probs[k] = logf(log_probs[k]);
}

static void by_logsumexp(const sample *s, float *log_probs) {
  float lse[MAX_ROWS];
  int64_t k;
  check(xent_logsumexp_f32(s->logits, s->rows, CLASSES, lse));
  for (k = 0; k < s->rows * CLASSES; k++) log_probs[k] = s->logits[k] - lse[k / CLASSES];
}

/* exp() of anything above 88 overflows a float, so the row's maximum comes out first. */
static void by_hand(const sample *s, float *log_probs) {
  int64_t row, k;
  for (row = 0; row < s->rows; row++) {
    const float *x = s->logits + row * CLASSES;
    float max = x[0], sum = 0;
    for (k = 1; k < CLASSES; k++) max = x[k] > max ? x[k] : max;
    for (k = 0; k < CLASSES; k++) sum += expf(x[k] - max);
    for (k = 0; k < CLASSES; k++) log_probs[row * CLASSES + k] = x[k] - max - logf(sum);
  }
}

static void print_numbers(const float *x, int64_t count) {
  int64_t k;
  for (k = 0; k < count; k++) {
    if (k) putchar(' ');
    if (x[k] != x[k]) printf("nan"); /* printf shows the sign of a NaN on some systems */
    else printf("%.4f", x[k]);
  }
  putchar('\n');
}

static void print_sample(const sample *s) {
  static const struct {
    const char *name;
    log_probs_way log_probs; /* NULL: straight from the logits */
  } ways[] = {{"cross_entropy", NULL},
              {"log_softmax + nll", by_log_softmax},
              {"log of softmax", by_log_of_softmax},
              {"x - logsumexp", by_logsumexp},
              {"max by hand", by_hand}};
  static const char *const reductions[] = {"none", "mean", "sum"};
  size_t way;
  int32_t reduction;
  for (way = 0; way < sizeof ways / sizeof *ways; way++) {
    for (reduction = XENT_REDUCTION_NONE; reduction <= XENT_REDUCTION_SUM; reduction++) {
      float log_probs[MAX_ROWS * CLASSES], loss[MAX_ROWS];
      if (ways[way].log_probs) {
        ways[way].log_probs(s, log_probs);
        check(xent_nll_f32(log_probs, s->targets, s->rows, CLASSES, NULL, XENT_IGNORE_INDEX, reduction, loss));
      } else {
        check(xent_cross_entropy_f32(s->logits, s->targets, s->rows, CLASSES, NULL, XENT_IGNORE_INDEX, reduction,
                                     loss));
      }
      printf("%s\t%s\t%s\t", s->name, ways[way].name, reductions[reduction]);
      print_numbers(loss, reduction == XENT_REDUCTION_NONE ? s->rows : 1);
    }
  }
}

/* What the formula gives when it is typed in as it stands, and what the library gives. */
static void print_large_logits(void) {
  const float x[CLASSES] = {1000, 2000, 7000};
  float e[CLASSES], sum = 0, probs[CLASSES];
  int k;
  for (k = 0; k < CLASSES; k++) sum += e[k] = expf(x[k]);
  for (k = 0; k < CLASSES; k++) probs[k] = e[k] / sum;
  printf("naive\t[1000, 2000, 7000]\t");
  print_numbers(probs, CLASSES);
  check(xent_softmax_f32(x, 1, CLASSES, probs));
  printf("xent\t[1000, 2000, 7000]\t");
  print_numbers(probs, CLASSES);
}

int main(void) {
  static const sample single = {"single", 1, {1, 2, 7}, {2}};
  static const sample batch = {"batch", 3, {1, 2, 7, 4, 7, 9, 8, 3, 4}, {2, 2, 0}};
  print_sample(&single);
  print_sample(&batch);
  print_large_logits();
  return 0;
}
