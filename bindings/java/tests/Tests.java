// SPDX-License-Identifier: Apache-2.0
import dev.xent.Array;
import dev.xent.Call;
import dev.xent.Function;
import dev.xent.Output;
import dev.xent.Results;
import dev.xent.Shape;
import dev.xent.Xent;
import dev.xent.XentException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;

/** Runs every test: java Tests vectors.json. Prints "N passed, M failed" last. */
final class Tests {
  private static final float[] LOGITS = {1, 2, 7, 4, 7, 9};
  private static final Shape SHAPE = Shape.of(2, 3);

  int passed;
  int failed;

  void check(String name, boolean condition) {
    if (condition) {
      passed++;
    } else {
      failed++;
      System.out.println("not ok - " + name);
    }
  }

  void equal(String name, Object wanted, Object got) {
    check(name + ": " + got + ", not " + wanted, Objects.equals(wanted, got));
  }

  <E extends Throwable> E thrown(String name, Class<E> type, Runnable body) {
    try {
      body.run();
    } catch (Throwable error) {
      check(name + ": " + error, type.isInstance(error));
      return type.isInstance(error) ? type.cast(error) : null;
    }
    check(name + ": nothing was thrown", false);
    return null;
  }

  private void size(String message, Runnable body) {
    XentException error = thrown(message, XentException.class, body);
    if (error != null) {
      equal("status of " + message, XentException.SIZE, error.status());
      equal("message", message, error.getMessage());
    }
  }

  private static Call softmax(Array logits) {
    return Xent.call(Function.SOFTMAX, logits, SHAPE);
  }

  private void lengths() {
    size("logits has 6 elements, not 2 * 2 * 1", () -> Xent.softmax(LOGITS, Shape.of(2, 2)));
    size("targets has 1 elements, not 2 * 1 * 1", () -> Xent.crossEntropy(LOGITS, SHAPE, 0));
    size("probs has 5 elements, not 2 * 3 * 1",
        () -> softmax(Array.of(LOGITS)).want(Output.PROBS, Array.of(new float[5])).run());
    size("a size is negative: -2, -3, 1", () -> Shape.of(-2, -3));
    size("logits has 6 elements, not 4611686018427387904 * 4 * 1", () -> Xent.softmax(LOGITS, Shape.of(1L << 62, 4)));
    size("4294967296 elements do not fit a Java array", () -> Xent.logSumExp(new float[0], Shape.of(1L << 32, 0)));
  }

  private void inPlace() {
    float[] wanted = Xent.softmax(LOGITS, SHAPE);
    float[] memory = LOGITS.clone();
    softmax(Array.of(memory)).want(Output.PROBS, Array.of(memory)).run();
    check("in an array's place", Arrays.equals(wanted, memory));
    float[] grad = new float[6];
    float loss = Xent.crossEntropyWithGrad(LOGITS, SHAPE, new long[] {2, 1}, grad);
    memory = LOGITS.clone();
    equal("loss in place", loss, Xent.crossEntropyWithGrad(memory, SHAPE, new long[] {2, 1}, memory));
    check("gradient in place", Arrays.equals(grad, memory));
    equal("loss alone", loss, Xent.crossEntropy(LOGITS, SHAPE, 2, 1));
  }

  private void buffers() {
    FloatBuffer direct = ByteBuffer.allocateDirect(48).order(ByteOrder.nativeOrder()).asFloatBuffer();
    direct.position(3).put(LOGITS).position(3).limit(9);
    float[] wanted = Xent.softmax(LOGITS, SHAPE);
    softmax(Array.of(direct)).want(Output.PROBS, Array.of(direct)).run();
    float[] got = new float[6];
    direct.duplicate().get(got);
    check("in a buffer's place", Arrays.equals(wanted, got));
    equal("beside it", 0f, direct.duplicate().clear().get(2) + direct.duplicate().clear().get(9));
    thrown("not direct", IllegalArgumentException.class, () -> Array.of(FloatBuffer.allocate(6)));
    FloatBuffer swapped = ByteBuffer.allocateDirect(24).order(
        ByteOrder.nativeOrder() == ByteOrder.BIG_ENDIAN ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN).asFloatBuffer();
    thrown("the other byte order", IllegalArgumentException.class, () -> Array.of(swapped));
    thrown("read-only", IllegalArgumentException.class,
        () -> softmax(Array.of(LOGITS)).want(Output.PROBS, Array.of(direct.asReadOnlyBuffer())).run());
    FloatBuffer overlapping = direct.duplicate().position(4).limit(10);
    XentException error = thrown("overlap", XentException.class,
        () -> softmax(Array.of(direct)).want(Output.PROBS, Array.of(overlapping)).run());
    equal("overlap's status", XentException.OVERLAP, error == null ? null : error.status());
  }

  private void targets() {
    double wanted = Xent.crossEntropy(LOGITS, SHAPE, 2, 1);
    Array[] kinds = {Array.of(new byte[] {2, 1}), Array.of(new int[] {2, 1}), Array.of(new long[] {2, 1}),
        Array.of(new float[] {0, 0, 1, 0, 1, 0})};
    for (Array kind : kinds) {
      Results results = Xent.call(Function.CROSS_ENTROPY, Array.of(LOGITS), SHAPE).targets(kind).want(Output.LOSS).run();
      equal("targets", wanted, results.number(Output.LOSS));
    }
    Results sparse = Xent.call(Function.CROSS_ENTROPY, Array.of(LOGITS), SHAPE)
        .targets(Array.of(new int[] {2, 1}), Array.of(new float[] {1, 1}), 1).want(Output.LOSS).run();
    equal("sparse targets", wanted, sparse.number(Output.LOSS));
    XentException error = thrown("an unsigned byte", XentException.class,
        () -> Xent.call(Function.CROSS_ENTROPY, Array.of(LOGITS), SHAPE).targets(Array.of(new byte[] {2, (byte) 156}))
            .want(Output.LOSS).run());
    equal("its row and value", "1 156", error == null ? null : error.row() + " " + error.value());
  }

  private void outputs() {
    float[] all = Xent.logSoftmax(LOGITS, SHAPE);
    Results results = softmax(Array.of(LOGITS)).top(2).gather(Array.of(new long[] {2, 0}))
        .want(Output.TOP_INDICES, Output.TOP_LOG_PROBS, Output.GATHERED).run();
    check("top", Arrays.equals(new long[] {2, 1, 2, 1}, results.longs(Output.TOP_INDICES)));
    check("top's", Arrays.equals(new float[] {all[2], all[1], all[5], all[4]}, results.floats(Output.TOP_LOG_PROBS)));
    check("gathered", Arrays.equals(new float[] {all[2], all[3]}, results.floats(Output.GATHERED)));
    thrown("not wanted", IllegalArgumentException.class, () -> results.floats(Output.LSE));
    thrown("of another type", IllegalArgumentException.class, () -> results.doubles(Output.GATHERED));
    float[] middle = {1, 4, 2, 7, 7, 9};
    check("a class axis in the middle",
        Arrays.equals(Xent.logSumExp(LOGITS, SHAPE), Xent.logSumExp(middle, new Shape(1, 3, 2))));
    double[] doubles = {1, 2, 7, 4, 7, 9};
    equal("double", (float) Xent.crossEntropy(doubles, SHAPE, 2, 1), Xent.crossEntropy(LOGITS, SHAPE, 2, 1));
    equal("binary", (float) Math.log(2), Xent.binaryCrossEntropyWithLogits(new float[6], SHAPE, new float[6]));
  }

  private void library() {
    equal("major version", 1, Xent.version() / 10000);
    check("CPU level", java.util.Set.of("baseline", "v3", "v4").contains(Xent.cpuLevel()));
    Xent.setNumThreads(2);
    equal("threads", 2, Xent.getNumThreads());
    XentException error = thrown("threads", XentException.class, () -> Xent.setNumThreads(-1));
    check("its text", error != null && error.getMessage().startsWith("xent_set_num_threads: "));
    Xent.setNumThreads(0);
  }

  public static void main(String[] words) throws Exception {
    Tests tests = new Tests();
    Vectors.run(Path.of(words[0]), tests);
    tests.lengths();
    tests.inPlace();
    tests.buffers();
    tests.targets();
    tests.outputs();
    tests.library();
    System.out.println(tests.passed + " passed, " + tests.failed + " failed");
    System.exit(tests.failed > 0 ? 1 : 0);
  }
}
