// SPDX-License-Identifier: Apache-2.0
import dev.xent.Array;
import dev.xent.Call;
import dev.xent.Divergence;
import dev.xent.Function;
import dev.xent.Output;
import dev.xent.Reduction;
import dev.xent.Results;
import dev.xent.Shape;
import dev.xent.Xent;
import dev.xent.XentException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/** Tests/Golden/vectors.json; Tests/Golden/vectors.py describes it. */
final class Vectors {
  private static final Set<String> REALS =
      Set.of("loss", "lse", "entropy", "max_logit", "target_log_prob", "weight", "pos_weight", "grad_loss");
  private static final Set<String> COUNTERS = Set.of("correct", "rows_counted");
  private static final Set<String> INDICES = Set.of("argmax", "target_rank");
  private static final List<String> STATUSES = List.of("XENT_OK", "XENT_ERR_NULL", "XENT_ERR_SIZE", "XENT_ERR_TARGET",
      "XENT_ERR_OPTION", "XENT_ERR_OVERLAP", "XENT_ERR_NO_MEMORY", "XENT_ERR_DTYPE", "XENT_ERR_UNSUPPORTED");

  private final Map<?, ?> one;
  private final Map<?, ?> inputs;
  private final Map<?, ?> options;
  private final String dtype;
  private final String function;
  private final String title;
  private final Tests tests;

  private Vectors(Map<?, ?> one, Tests tests) {
    this.one = one;
    this.tests = tests;
    inputs = (Map<?, ?>) one.get("inputs");
    options = (Map<?, ?>) one.get("options");
    dtype = (String) one.get("dtype");
    function = (String) one.get("function");
    title = function + " " + dtype + " " + one.get("name");
  }

  static void run(Path file, Tests tests) throws IOException {
    Map<?, ?> vectors = Json.read(Files.readString(file));
    tests.equal("format", "1", vectors.get("format"));
    for (Object one : (List<?>) vectors.get("cases")) {
      new Vectors((Map<?, ?>) one, tests).run();
    }
    tests.check("many values were compared", tests.passed > 5000);
  }

  // ---- Numbers ----

  private static String java(Object number) {
    return number.toString().replace("inf", "Infinity").replace("nan", "NaN");
  }

  private String dtypeOf(String name) {
    return REALS.contains(name) && !dtype.equals("f64") ? "f32" : dtype;
  }

  private static float[] floats(List<?> values) {
    float[] found = new float[values.size()];
    for (int n = 0; n < found.length; n++) {
      found[n] = Float.parseFloat(java(values.get(n)));
    }
    return found;
  }

  private static double[] doubles(List<?> values) {
    return values.stream().mapToDouble(value -> Double.parseDouble(java(value))).toArray();
  }

  private static short[] bits(List<?> values, short nan) {
    short[] found = new short[values.size()];
    for (int n = 0; n < found.length; n++) {
      found[n] = values.get(n).equals("nan") ? nan : (short) Integer.parseInt((String) values.get(n));
    }
    return found;
  }

  private static long[] longs(List<?> values) {
    return values.stream().mapToLong(value -> Long.parseLong((String) value)).toArray();
  }

  private Array array(String name) {
    List<?> values = (List<?>) inputs.get(name);
    if (values == null) {
      return null;
    }
    return switch (dtypeOf(name)) {
      case "f32" -> Array.of(floats(values));
      case "f64" -> Array.of(doubles(values));
      case "f16" -> Array.f16(bits(values, (short) 0));
      default -> Array.bf16(bits(values, (short) 0));
    };
  }

  private Array integers(String name) {
    List<?> values = (List<?>) inputs.get(name);
    return values == null ? null : Array.of(longs(values));
  }

  private Array first(String... names) {
    for (String name : names) {
      if (inputs.containsKey(name)) {
        return array(name);
      }
    }
    throw new IllegalStateException(title + " has no input");
  }

  /** A number's place in the order of all of its dtype, with -0 and 0 one; null for NaN. */
  private static Long place(long bits, int width, long infinity) {
    long magnitude = bits & ((1L << (width - 1)) - 1);
    return magnitude > infinity ? null : magnitude == bits ? Long.valueOf(magnitude) : Long.valueOf(-magnitude);
  }

  private static Long place(float value) {
    return place(Integer.toUnsignedLong(Float.floatToRawIntBits(value)), 32, 0x7F800000L);
  }

  private static Long place(double value) {
    return place(Double.doubleToRawLongBits(value), 64, 0x7FF0000000000000L);
  }

  private Long place(short value) {
    return place(Short.toUnsignedLong(value), 16, dtype.equals("f16") ? 0x7C00 : 0x7F80);
  }

  private void compare(String name, int n, Object got, Object wanted, Long a, Long b, long most) {
    boolean right = a == null || b == null ? a == b : Math.abs(a - b) <= most;
    tests.check(title + " " + name + "[" + n + "]: " + got + ", not " + wanted, right);
  }

  // ---- Calls ----

  private static Output outputOf(String name, boolean ofRows) {
    return name.equals("loss") && ofRows ? Output.ROW_LOSS : Output.valueOf(name.toUpperCase(Locale.ROOT));
  }

  private Call call() {
    Function kind = function.equals("binary_cross_entropy") ? Function.BINARY
        : Function.valueOf(function.toUpperCase(Locale.ROOT));
    Shape shape = Shape.of(number("rows"), number("classes"));
    Call call = Xent.call(kind, first("logits", "log_probs", "student", "probs"), shape);
    switch (kind) {
      case SOFTMAX -> { }
      case CROSS_ENTROPY, NLL -> call.targets(inputs.containsKey("probabilities") ? array("probabilities")
          : integers("targets"));
      case BINARY -> call.targets(array("targets"));
      case DIVERGENCE -> call.teacher(array("teacher"));
      default -> call.targets(first("grad_probs", "grad_log_probs"));
    }
    call.weight(array("weight")).posWeight(array("pos_weight")).gradLoss(array("grad_loss"));
    call.rowMask(integers("row_mask")).classMask(integers("class_mask"));
    options.forEach((name, value) -> {
      String word = (String) value;
      switch ((String) name) {
        case "reduction" -> call.reduction(Reduction.valueOf(word.toUpperCase(Locale.ROOT)));
        case "divergence" -> call.divergence(Divergence.valueOf(word.toUpperCase(Locale.ROOT)));
        case "smoothing" -> call.smoothingUniform(word.equals("uniform"));
        case "accuracy" -> call.fastest(word.equals("fastest"));
        case "ignore_index" -> call.ignoreIndex(Long.parseLong(word));
        case "label_smoothing" -> call.labelSmoothing(Double.parseDouble(word));
        case "temperature" -> call.temperature(Double.parseDouble(word));
        case "softcap" -> call.softcap(Double.parseDouble(word));
        case "focal_gamma" -> call.focalGamma(Double.parseDouble(word));
        case "poly_epsilon" -> call.polyEpsilon(Double.parseDouble(word));
        case "z_loss" -> call.zLoss(Double.parseDouble(word));
        default -> throw new IllegalStateException("unknown option " + name);
      }
    });
    return call;
  }

  private long number(String name) {
    return Long.parseLong((String) one.get(name));
  }

  private void run() {
    Call call = call();
    Map<?, ?> error = (Map<?, ?>) one.get("error");
    if (error != null) {
      XentException found = tests.thrown(title, XentException.class, () -> call.want(Output.LOSS).run());
      if (found != null) {
        tests.equal(title, STATUSES.indexOf(error.get("status")), found.status());
        tests.equal(title, error.get("row") + " " + error.get("value"), found.row() + " " + found.value());
        tests.equal(title, "xent_" + function + ": " + error.get("message"), found.getMessage());
      }
      return;
    }
    boolean ofRows = "none".equals(options.get("reduction"));
    Map<?, ?> outputs = (Map<?, ?>) one.get("outputs");
    outputs.keySet().forEach(name -> call.want(outputOf((String) name, ofRows)));
    Results results = call.run();
    outputs.forEach((name, expected) -> compare((String) name, (Map<?, ?>) expected, results, ofRows));
  }

  private void compare(String name, Map<?, ?> expected, Results results, boolean ofRows) {
    Output output = outputOf(name, ofRows);
    List<?> values = (List<?>) expected.get("values");
    long most = Long.parseLong((String) expected.get("max_ulp"));
    if (COUNTERS.contains(name)) {
      tests.equal(title + " " + name, Double.valueOf((String) values.get(0)), results.number(output));
    } else if (INDICES.contains(name)) {
      tests.equal(title + " " + name, List.of(longs(values)).get(0).length, results.longs(output).length);
      tests.check(title + " " + name, java.util.Arrays.equals(longs(values), results.longs(output)));
    } else if (dtypeOf(name).equals("f32")) {
      float[] got = results.floats(output);
      float[] wanted = floats(values);
      tests.equal(title + " " + name, wanted.length, got.length);
      for (int n = 0; n < got.length; n++) {
        compare(name, n, got[n], wanted[n], place(got[n]), place(wanted[n]), most);
      }
    } else if (dtypeOf(name).equals("f64")) {
      double[] got = results.doubles(output);
      double[] wanted = doubles(values);
      tests.equal(title + " " + name, wanted.length, got.length);
      for (int n = 0; n < got.length; n++) {
        compare(name, n, got[n], wanted[n], place(got[n]), place(wanted[n]), most);
      }
    } else {
      short[] got = results.bits(output);
      short[] wanted = bits(values, (short) 0x7FFF);
      tests.equal(title + " " + name, wanted.length, got.length);
      for (int n = 0; n < got.length; n++) {
        compare(name, n, got[n], wanted[n], place(got[n]), place(wanted[n]), most);
      }
    }
  }
}
