// SPDX-License-Identifier: Apache-2.0
package dev.xent;

/** Of a teacher's p and a student's q; in the order of xent.h. */
public enum Divergence {
  /** The sum of p * log(p / q): the default. */
  KL,
  /** The sum of q * log(q / p). */
  REVERSE_KL,
  /** The sum of -p * log q. */
  SOFT_CROSS_ENTROPY,
  JENSEN_SHANNON
}
