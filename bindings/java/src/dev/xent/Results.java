// SPDX-License-Identifier: Apache-2.0
package dev.xent;

import java.util.Map;

/** What a call gave. Asking for what was not wanted, or by another type, is an IllegalArgumentException. */
public final class Results {
  private final Map<Output, Array> arrays;

  Results(Map<Output, Array> arrays) {
    this.arrays = arrays;
  }

  /** Of float logits, and the losses and statistics of 16-bit ones. */
  public float[] floats(Output output) {
    return as(float[].class, output);
  }

  /** Of double logits. */
  public double[] doubles(Output output) {
    return as(double[].class, output);
  }

  /** Outputs of the shape of 16-bit logits. */
  public short[] bits(Output output) {
    return as(short[].class, output);
  }

  /** ARGMAX, TARGET_RANK, TOP_INDICES. */
  public long[] longs(Output output) {
    return as(long[].class, output);
  }

  /** LOSS, LOSS_SUM, WEIGHT_SUM and the counts. */
  public double number(Output output) {
    Object array = as(Object.class, output);
    if (array instanceof float[] a && a.length == 1) {
      return a[0];
    }
    if (array instanceof double[] a && a.length == 1) {
      return a[0];
    }
    if (array instanceof long[] a && a.length == 1) {
      return a[0];
    }
    throw new IllegalArgumentException(output + " is not a number");
  }

  private <T> T as(Class<T> type, Output output) {
    Array found = arrays.get(output);
    if (found == null || !type.isInstance(found.array())) {
      throw new IllegalArgumentException(output + " was not wanted, or is of another type");
    }
    return type.cast(found.array());
  }
}
