// SPDX-License-Identifier: Apache-2.0
package dev.xent;

/** How the losses of rows become one; in the order of xent.h. */
public enum Reduction {
  /** They do not; the gradient is that of the sum. For {@link Output#ROW_LOSS}. */
  NONE,
  /** The default: the sum divided by the sum of the targets' weights, as in PyTorch. */
  MEAN,
  SUM,
  /** The sum divided by the number of rows that count, weights or not. */
  MEAN_ROWS
}
