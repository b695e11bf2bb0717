// SPDX-License-Identifier: Apache-2.0
package dev.xent;

/** Contiguous (outer, classes, inner), in row-major order; a matrix of rows and classes has inner 1. */
public record Shape(long outer, long classes, long inner) {
  public Shape {
    if (outer < 0 || classes < 0 || inner < 0) {
      throw new XentException(XentException.SIZE, -1, 0, "a size is negative: " + outer + ", " + classes + ", " + inner);
    }
  }

  /** The shape of rows of classes. */
  public static Shape of(long rows, long classes) {
    return new Shape(rows, classes, 1);
  }

  public long rows() {
    return product(outer, inner);
  }

  public long elements() {
    return product(rows(), classes);
  }

  /** Or what no array has. */
  private static long product(long a, long b) {
    return Math.multiplyHigh(a, b) != 0 || a * b < 0 ? Long.MAX_VALUE : a * b;
  }

  Shape with(long classes) {
    return new Shape(outer, classes, inner);
  }

  Shape perRow() {
    return with(1);
  }

  Shape perClass() {
    return new Shape(1, classes, 1);
  }

  static final Shape SCALAR = new Shape(1, 1, 1);
}
