/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of logits of every style, made of integers and exact operations only, never with a libm.
 */
#ifndef CORPUS_H
#define CORPUS_H

#include "operations.h"

#include <math.h>

/* What a row of logits looks like. */
enum {
  ORDINARY,
  FAR_APART,    /* +-1000: most of the row underflows */
  CLOSE,        /* within 1e-3 */
  HIGH,         /* around 1e8: as shifted far from 0 */
  MASKED,       /* a third is -inf */
  TIES,         /* four values only */
  DOMINATED,    /* one class far above the others: losses from 1e-9 down */
  ANY_EXPONENT, /* every magnitude of the dtype */
  NEAR_2_15,    /* about +-32768, among small ones */
  SUBNORMAL,
  VANISHING, /* where exp of the difference becomes subnormal, then 0 */
  NOT_FINITE,
  STYLES
};

/* What differs with the dtype; f32 and f64 are recorded, bf16 has the exponents of f32. */
static const struct {
  int64_t lowest, highest, subnormal; /* exponents */
  int64_t most_dominant;
  double high, vanishing_middle, vanishing_radius;
} corpora[DTYPES] = {[F32] = {-149, 127, -128, 110, 1e8, -52, 54},
                     [F64] = {-1074, 1023, -1024, 760, 1e8, -374, 376},
                     [F16] = {-24, 15, -15, 110, 30000, -8, 10},
                     [BF16] = {-133, 127, -128, 110, 1e8, -52, 54}};

static double power_of_two(int64_t exponent) { return ldexp(1, (int)exponent); }

static int64_t pick(uint64_t *state, int64_t low, int64_t high) {
  return low + (int64_t)(random_bits(state) % (uint64_t)(high - low + 1));
}

static double element(int style, dtype type, uint64_t *state) {
  double u = random_unit(state);
  switch (style) {
    case FAR_APART: return 1000 * u;
    case CLOSE: return u / 1024;
    case HIGH: return corpora[type].high + 64 * u;
    case MASKED: return random_bits(state) % 3 ? 6 * u : -INFINITY;
    case TIES: return (double)pick(state, 0, 3);
    case DOMINATED: return 4 * u;
    case ANY_EXPONENT: return u * power_of_two(pick(state, corpora[type].lowest, corpora[type].highest));
    case NEAR_2_15: return random_bits(state) % 4 ? 3 * u : (u < 0 ? -32768 : 32768) + 100 * u;
    case SUBNORMAL: return u * power_of_two(corpora[type].subnormal);
    case VANISHING: return corpora[type].vanishing_middle + corpora[type].vanishing_radius * u;
    default: return 6 * u + 2 * random_unit(state);
  }
}

/* The rows take turns in style, `first_style` first; not_above_0 makes log-probabilities of them. */
static void fill_matrix(void *matrix, dtype type, int64_t rows, int64_t classes, int first_style, bool not_above_0,
                        uint64_t seed) {
  for (int64_t i = 0; i < rows; i++) {
    int style = (int)((first_style + i) % STYLES);
    for (int64_t j = 0; j < classes; j++) {
      double x = element(style, type, &seed);
      store(matrix, type, i * classes + j, not_above_0 && x > 0 ? -x : x);
    }
    int64_t chosen = i * classes + (int64_t)(random_bits(&seed) % (uint64_t)classes);
    if (style == DOMINATED && !not_above_0)
      store(matrix, type, chosen, (double)pick(&seed, 20, corpora[type].most_dominant));
    if (style != NOT_FINITE) continue;
    switch (pick(&seed, 0, 3)) {
      case 0: store(matrix, type, chosen, NAN); break;
      case 1: store(matrix, type, chosen, not_above_0 ? -INFINITY : INFINITY); break;
      case 2:
        for (int64_t j = 0; j < classes; j++) store(matrix, type, i * classes + j, -INFINITY);
        break;
      default: /* all -inf but one */
        for (int64_t j = 0; j < classes; j++)
          if (i * classes + j != chosen) store(matrix, type, i * classes + j, -INFINITY);
    }
  }
}

#endif
