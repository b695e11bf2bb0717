// SPDX-License-Identifier: Apache-2.0
package dev.xent;

import com.sun.jna.Memory;
import com.sun.jna.Pointer;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.DoubleBuffer;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.LongBuffer;
import java.nio.ShortBuffer;

/**
 * Memory with the dtype that the library is to see in it: a Java array, which a call copies to native memory and, where it is
 * written, back; or the remaining elements of a direct buffer in native byte order, which are used where they are.
 */
public final class Array {
  static final int F32 = 1;
  static final int F64 = 2;
  static final int F16 = 3;
  static final int BF16 = 4;
  static final int I32 = 7;
  static final int I64 = 8;
  static final int U8 = 9;
  private static final int[] SIZES = {0, 4, 8, 2, 2, 1, 2, 4, 8, 1, 2, 4, 8};

  final int dtype;
  final long length;
  private final Object array;
  private final Buffer buffer;

  private Array(int dtype, int length, Object array) {
    this.dtype = dtype;
    this.length = length;
    this.array = array;
    this.buffer = null;
  }

  private Array(int dtype, Buffer buffer, ByteOrder order) {
    if (!buffer.isDirect() || order != ByteOrder.nativeOrder()) {
      throw new IllegalArgumentException("a buffer is not direct and in native byte order; use an array");
    }
    this.dtype = dtype;
    this.length = buffer.remaining();
    this.array = null;
    this.buffer = buffer;
  }

  public static Array of(float[] values) {
    return new Array(F32, values.length, values);
  }

  public static Array of(double[] values) {
    return new Array(F64, values.length, values);
  }

  /** The bits of half-precision numbers. */
  public static Array f16(short[] bits) {
    return new Array(F16, bits.length, bits);
  }

  /** The bits of bfloat16 numbers. */
  public static Array bf16(short[] bits) {
    return new Array(BF16, bits.length, bits);
  }

  /** Unsigned: 0 to 255. */
  public static Array of(byte[] values) {
    return new Array(U8, values.length, values);
  }

  public static Array of(int[] values) {
    return new Array(I32, values.length, values);
  }

  public static Array of(long[] values) {
    return new Array(I64, values.length, values);
  }

  public static Array of(FloatBuffer values) {
    return new Array(F32, values, values.order());
  }

  public static Array of(DoubleBuffer values) {
    return new Array(F64, values, values.order());
  }

  public static Array f16(ShortBuffer bits) {
    return new Array(F16, bits, bits.order());
  }

  public static Array bf16(ShortBuffer bits) {
    return new Array(BF16, bits, bits.order());
  }

  /** Unsigned: 0 to 255. */
  public static Array of(ByteBuffer values) {
    return new Array(U8, values, ByteOrder.nativeOrder());
  }

  public static Array of(IntBuffer values) {
    return new Array(I32, values, values.order());
  }

  public static Array of(LongBuffer values) {
    return new Array(I64, values, values.order());
  }

  /** A new array of a dtype. */
  static Array make(int dtype, long length) {
    if (length > Integer.MAX_VALUE - 8) {
      throw new XentException(XentException.SIZE, -1, 0, length + " elements do not fit a Java array");
    }
    int n = (int) length;
    return switch (dtype) {
      case F32 -> of(new float[n]);
      case F64 -> of(new double[n]);
      case F16 -> f16(new short[n]);
      case BF16 -> bf16(new short[n]);
      case I64 -> of(new long[n]);
      default -> throw new IllegalArgumentException("dtype " + dtype);
    };
  }

  /** The Java array, for results that were made. */
  Object array() {
    return array;
  }

  /** The dtype of losses, statistics and weights for logits of this one. */
  int real() {
    return dtype == F64 ? F64 : F32;
  }

  /** Native memory with what is in it now, kept by what is returned. */
  Pointer copyIn() {
    if (buffer != null) {
      return com.sun.jna.Native.getDirectBufferPointer(buffer).share((long) SIZES[dtype] * buffer.position());
    }
    if (length == 0) {
      return new Memory(8); // for no elements any will do, and an output that is wanted is not NULL
    }
    Pointer memory = new Memory(length * SIZES[dtype]);
    int n = (int) length;
    if (array instanceof float[] a) {
      memory.write(0, a, 0, n);
    } else if (array instanceof double[] a) {
      memory.write(0, a, 0, n);
    } else if (array instanceof short[] a) {
      memory.write(0, a, 0, n);
    } else if (array instanceof byte[] a) {
      memory.write(0, a, 0, n);
    } else if (array instanceof int[] a) {
      memory.write(0, a, 0, n);
    } else {
      memory.write(0, (long[]) array, 0, n);
    }
    return memory;
  }

  /** Native memory to be written. */
  Pointer place() {
    if (buffer != null && buffer.isReadOnly()) {
      throw new IllegalArgumentException("a buffer that is to be written is read-only");
    }
    return buffer != null ? copyIn() : new Memory(Math.max(8, length * SIZES[dtype]));
  }

  /** From native memory, after a call that has written it. */
  void copyOut(Pointer memory) {
    int n = (int) length;
    if (buffer != null || n == 0) {
      return;
    }
    if (array instanceof float[] a) {
      memory.read(0, a, 0, n);
    } else if (array instanceof double[] a) {
      memory.read(0, a, 0, n);
    } else if (array instanceof short[] a) {
      memory.read(0, a, 0, n);
    } else if (array instanceof byte[] a) {
      memory.read(0, a, 0, n);
    } else if (array instanceof int[] a) {
      memory.read(0, a, 0, n);
    } else {
      memory.read(0, (long[]) array, 0, n);
    }
  }

  /** A view of native memory, when this has as many elements as the shape. */
  Native.Tensor tensor(String name, Shape shape, Pointer memory) {
    if (length != shape.elements()) {
      throw new XentException(XentException.SIZE, -1, 0, name + " has " + length + " elements, not " + shape.outer()
          + " * " + shape.classes() + " * " + shape.inner());
    }
    Native.Tensor tensor = new Native.Tensor();
    tensor.data = memory;
    tensor.dtype = dtype;
    tensor.outer = shape.outer();
    tensor.classes = shape.classes();
    tensor.inner = shape.inner();
    tensor.outer_stride = shape.classes() * shape.inner();
    tensor.class_stride = shape.inner();
    tensor.inner_stride = 1;
    tensor.write();
    return tensor;
  }
}
