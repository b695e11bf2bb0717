// SPDX-License-Identifier: Apache-2.0
package dev.xent;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;

/**
 * One call with its options, each at its default until it is set, and the outputs it is to give: made by {@link Xent#call}.
 * Not every function takes every option; what does not go together is an error that names the two. A call may run again.
 */
public final class Call {
  private final Function function;
  private final Array first;
  private final Shape shape;
  private final Native.Options options = new Native.Options();
  private final Map<Output, Array> outputs = new EnumMap<>(Output.class);
  private Array second;
  private Array targetProbs;
  private Array weight;
  private Array posWeight;
  private Array gradLoss;
  private Array rowMask;
  private Array classMask;
  private Array gather;
  private long perRow = 1;
  private long top = 1;

  Call(Function function, Array first, Shape shape) {
    this.function = function;
    this.first = first;
    this.shape = shape;
  }

  /** A class for each row; for the binary loss labels, and with soft targets probabilities, of the logits' shape. */
  public Call targets(Array targets) {
    second = targets;
    return this;
  }

  /** The same as targets: a divergence's teacher. */
  public Call teacher(Array teacher) {
    return targets(teacher);
  }

  /** Sparse soft targets: perRow classes of each row, and their probabilities. */
  public Call targets(Array indices, Array probabilities, long perRow) {
    second = indices;
    targetProbs = probabilities;
    this.perRow = perRow;
    return this;
  }

  public Call reduction(Reduction reduction) {
    options.reduction = reduction.ordinal();
    return this;
  }

  public Call divergence(Divergence divergence) {
    options.divergence = divergence.ordinal();
    return this;
  }

  /** Rows with this target do not count; -100 by default. */
  public Call ignoreIndex(long index) {
    options.ignore_index = index;
    return this;
  }

  /** In [0, 1]. */
  public Call labelSmoothing(double epsilon) {
    options.label_smoothing = epsilon;
    return this;
  }

  /** Smooths labels first and then weights rows, where PyTorch weights each class's share. */
  public Call smoothingUniform(boolean uniform) {
    options.smoothing = uniform ? 1 : 0;
    return this;
  }

  /** Logits are divided by it. */
  public Call temperature(double temperature) {
    options.temperature = temperature;
    return this;
  }

  /** Logits x become softcap * tanh(x / softcap) first; 0 is none. */
  public Call softcap(double softcap) {
    options.softcap = softcap;
    return this;
  }

  public Call focalGamma(double gamma) {
    options.focal_gamma = gamma;
    return this;
  }

  public Call polyEpsilon(double epsilon) {
    options.poly_epsilon = epsilon;
    return this;
  }

  /** Adds zLoss * lse^2 to each row's loss. */
  public Call zLoss(double zLoss) {
    options.z_loss = zLoss;
    return this;
  }

  /** A mean over no rows is 0 instead of NaN. */
  public Call emptyMeanIsZero(boolean zero) {
    options.empty_mean = zero ? 1 : 0;
    return this;
  }

  /** A row of nothing but masks does not count, instead of being NaN. */
  public Call skipMaskedRows(boolean skip) {
    options.masked_row = skip ? 1 : 0;
    return this;
  }

  /** Probabilities and gradients of floats within 3 ulp instead of 1, for less time. */
  public Call fastest(boolean fastest) {
    options.accuracy = fastest ? 1 : 0;
    return this;
  }

  /** The most threads this call may use; 0 as {@link Xent#setNumThreads} says. */
  public Call numThreads(int number) {
    options.num_threads = number;
    return this;
  }

  /** One for each class. */
  public Call weight(Array weight) {
    this.weight = weight;
    return this;
  }

  /** Of positive labels: one for each class, or of the logits' shape. */
  public Call posWeight(Array posWeight) {
    this.posWeight = posWeight;
    return this;
  }

  /** The upstream gradient: one number, or one for each row. */
  public Call gradLoss(Array gradLoss) {
    this.gradLoss = gradLoss;
    return this;
  }

  /** Rows where it is 0 do not count. */
  public Call rowMask(Array mask) {
    rowMask = mask;
    return this;
  }

  /** Classes where it is 0 have probability 0. */
  public Call classMask(Array mask) {
    classMask = mask;
    return this;
  }

  /** The classes of {@link Output#GATHERED}, as many of each row as of every other. */
  public Call gather(Array classes) {
    gather = classes;
    return this;
  }

  /** How many classes {@link Output#TOP_INDICES} and {@link Output#TOP_LOG_PROBS} are to have. */
  public Call top(long number) {
    top = number;
    return this;
  }

  /** Outputs in new arrays. */
  public Call want(Output... wanted) {
    for (Output output : wanted) {
      outputs.put(output, null);
    }
    return this;
  }

  /** An output in memory of yours; for those of the logits' shape it may be the logits. */
  public Call want(Output output, Array place) {
    outputs.put(output, place);
    return this;
  }

  /** Calls the library. */
  public Results run() {
    Session session = new Session();
    options.weight = session.option("weight", weight, orWhole(weight, shape.perClass()));
    options.pos_weight = session.option("pos_weight", posWeight, orWhole(posWeight, shape.perClass()));
    Shape upstream = gradLoss != null && gradLoss.length == 1 ? Shape.SCALAR : orWhole(gradLoss, shape.perRow());
    options.grad_loss = session.option("grad_loss", gradLoss, upstream);
    options.row_mask = session.option("row_mask", rowMask, shape.perRow());
    options.class_mask = session.option("class_mask", classMask, shape.perClass());
    options.target_probs = session.option("target_probs", targetProbs, shape.with(perRow));
    options.gather = session.option("gather", gather, gatherShape());
    Native.Tensor a = session.input("logits", first, shape);
    Native.Tensor b = second == null ? null : session.input("targets", second, secondShape());

    Native.Outputs fields = new Native.Outputs();
    Map<Output, Array> results = new EnumMap<>(Output.class);
    outputs.forEach((output, place) -> {
      Shape size = shapeOf(output.kind);
      Array result = place != null ? place : Array.make(dtypeOf(output.kind), size.elements());
      if (result.dtype != dtypeOf(output.kind) && output.isBare()) {
        throw new IllegalArgumentException(output + " needs another type of array");
      }
      output.field.accept(fields, session.output(output.name().toLowerCase(Locale.ROOT), result, size, output.isBare()));
      results.put(output, result);
    });
    Native.Failure error = new Native.Failure();
    int status = function.call(a, b, options, fields, session.gradient, error);
    if (status != 0) {
      throw error.exception();
    }
    session.copyOut();
    return new Results(results);
  }

  private Shape secondShape() {
    boolean isDense = function != Function.NLL && (function != Function.CROSS_ENTROPY || second.dtype <= Array.BF16);
    return isDense ? shape : shape.with(perRow);
  }

  private Shape gatherShape() {
    return gather == null || shape.rows() == 0 ? shape.with(0) : shape.with(gather.length / shape.rows());
  }

  /** Where the binary loss takes an array of the logits' shape too. */
  private Shape orWhole(Array array, Shape other) {
    return function == Function.BINARY && array != null && array.length == shape.elements() ? shape : other;
  }

  private Shape shapeOf(Output.Kind kind) {
    return switch (kind) {
      case REAL, COUNTER, SUM -> Shape.SCALAR;
      case LOGITS -> shape;
      case ROW_LOSS -> function == Function.BINARY ? shape : shape.perRow();
      case ROW_REAL, ROW_INDEX -> shape.perRow();
      case TOP_INDEX, TOP_REAL -> shape.with(top);
      case GATHERED -> gatherShape();
    };
  }

  private int dtypeOf(Output.Kind kind) {
    return switch (kind) {
      case LOGITS -> first.dtype;
      case ROW_INDEX, TOP_INDEX, COUNTER -> Array.I64;
      case SUM -> Array.F64;
      default -> first.real();
    };
  }
}
