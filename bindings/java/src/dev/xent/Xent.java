// SPDX-License-Identifier: Apache-2.0
package dev.xent;

/**
 * Softmax cross-entropy over arrays: probabilities, losses and gradients from libxent. Every float result is within 1 ulp of
 * the exact value of its formula, for losses of 1e-30 too, and has the same bits on every machine and for any number of
 * threads. Logarithms are natural.
 *
 * <pre>{@code
 * float[] logits = {1, 2, 7, 4, 7, 9, 8, 3, 4};
 * float loss = Xent.crossEntropy(logits, Shape.of(3, 3), 2, 2, 0);
 *
 * Results all = Xent.call(Function.CROSS_ENTROPY, Array.of(logits), Shape.of(3, 3))
 *     .targets(Array.of(new long[] {2, 2, 0})).labelSmoothing(0.1)
 *     .want(Output.LOSS, Output.GRAD_LOGITS, Output.ENTROPY).run();
 * }</pre>
 *
 * The functions here have the usual options; {@link #call} has all of them, every output, every dtype, and direct buffers,
 * which are not copied. A call that is refused throws {@link XentException}. xent.h is the reference. The library is the file
 * that the property {@code xent.library} or the variable {@code XENT_LIBRARY} names, or libxent where JNA finds it.
 */
public final class Xent {
  private Xent() {}

  /** A call with every option and output. */
  public static Call call(Function function, Array first, Shape shape) {
    return new Call(function, first, shape);
  }

  /** The probability of each class. */
  public static float[] softmax(float[] logits, Shape shape) {
    return call(Function.SOFTMAX, Array.of(logits), shape).want(Output.PROBS).run().floats(Output.PROBS);
  }

  /** The probability of each class. */
  public static double[] softmax(double[] logits, Shape shape) {
    return call(Function.SOFTMAX, Array.of(logits), shape).want(Output.PROBS).run().doubles(Output.PROBS);
  }

  /** The log-probability of each class. */
  public static float[] logSoftmax(float[] logits, Shape shape) {
    return call(Function.SOFTMAX, Array.of(logits), shape).want(Output.LOG_PROBS).run().floats(Output.LOG_PROBS);
  }

  /** The log-probability of each class. */
  public static double[] logSoftmax(double[] logits, Shape shape) {
    return call(Function.SOFTMAX, Array.of(logits), shape).want(Output.LOG_PROBS).run().doubles(Output.LOG_PROBS);
  }

  /** The logarithm of the sum of the exponentials of each row. */
  public static float[] logSumExp(float[] logits, Shape shape) {
    return call(Function.SOFTMAX, Array.of(logits), shape).want(Output.LSE).run().floats(Output.LSE);
  }

  /** The logarithm of the sum of the exponentials of each row. */
  public static double[] logSumExp(double[] logits, Shape shape) {
    return call(Function.SOFTMAX, Array.of(logits), shape).want(Output.LSE).run().doubles(Output.LSE);
  }

  /** The mean over rows of -log p[target], in nats. */
  public static float crossEntropy(float[] logits, Shape shape, long... targets) {
    return (float) crossEntropy(Array.of(logits), shape, targets).run().number(Output.LOSS);
  }

  /** The mean over rows of -log p[target], in nats. */
  public static double crossEntropy(double[] logits, Shape shape, long... targets) {
    return crossEntropy(Array.of(logits), shape, targets).run().number(Output.LOSS);
  }

  /** The mean cross-entropy; its gradient goes to grad, which may be logits. */
  public static float crossEntropyWithGrad(float[] logits, Shape shape, long[] targets, float[] grad) {
    Call call = crossEntropy(Array.of(logits), shape, targets).want(Output.GRAD_LOGITS, Array.of(grad));
    return (float) call.run().number(Output.LOSS);
  }

  /** The mean cross-entropy; its gradient goes to grad, which may be logits. */
  public static double crossEntropyWithGrad(double[] logits, Shape shape, long[] targets, double[] grad) {
    Call call = crossEntropy(Array.of(logits), shape, targets).want(Output.GRAD_LOGITS, Array.of(grad));
    return call.run().number(Output.LOSS);
  }

  private static Call crossEntropy(Array logits, Shape shape, long[] targets) {
    return call(Function.CROSS_ENTROPY, logits, shape).targets(Array.of(targets)).want(Output.LOSS);
  }

  /** The mean over elements of the binary cross-entropy of logits with labels from 0 to 1. */
  public static float binaryCrossEntropyWithLogits(float[] logits, Shape shape, float[] labels) {
    Call call = call(Function.BINARY, Array.of(logits), shape).targets(Array.of(labels)).want(Output.LOSS);
    return (float) call.run().number(Output.LOSS);
  }

  /** The mean over elements of the binary cross-entropy of logits with labels from 0 to 1. */
  public static double binaryCrossEntropyWithLogits(double[] logits, Shape shape, double[] labels) {
    Call call = call(Function.BINARY, Array.of(logits), shape).targets(Array.of(labels)).want(Output.LOSS);
    return call.run().number(Output.LOSS);
  }

  /** major * 10000 + minor * 100 + patch of the loaded library. */
  public static int version() {
    return Native.LIBRARY.xent_version();
  }

  /** "baseline", "v3" or "v4". Results do not depend on it. */
  public static String cpuLevel() {
    return Native.LIBRARY.xent_cpu_level();
  }

  public static int getNumThreads() {
    return Native.LIBRARY.xent_get_num_threads();
  }

  /** For the whole process; 0 is automatic. */
  public static void setNumThreads(int number) {
    int status = Native.LIBRARY.xent_set_num_threads(number);
    if (status != 0) {
      throw new XentException(status, -1, 0, Native.LIBRARY.xent_last_error());
    }
  }
}
