// SPDX-License-Identifier: Apache-2.0
package dev.xent;

/** A call that was refused; nothing has been written. */
public final class XentException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The statuses of xent.h. */
  public static final int NULL = 1;
  public static final int SIZE = 2;
  public static final int TARGET = 3;
  public static final int OPTION = 4;
  public static final int OVERLAP = 5;
  public static final int NO_MEMORY = 6;
  public static final int DTYPE = 7;
  public static final int UNSUPPORTED = 8;

  private final int status;
  private final long row;
  private final long value;

  XentException(int status, long row, long value, String message) {
    super(message);
    this.status = status;
    this.row = row;
    this.value = value;
  }

  /** One of the constants here, or of a newer library. */
  public int status() {
    return status;
  }

  /** The row that is wrong, -1 if it is not a matter of one row. */
  public long row() {
    return row;
  }

  /** The value that is wrong, where it is an integer; otherwise 0. */
  public long value() {
    return value;
  }
}
