// SPDX-License-Identifier: Apache-2.0
import CXent

/// How the losses of rows become one.
public enum Reduction: Int32, Sendable {
  /// They do not; the gradient is that of the sum. For functions that give a loss for each row.
  case none = 0
  /// The sum divided by the sum of the targets' weights, as in PyTorch.
  case mean = 1
  case sum = 2
  /// The sum divided by the number of rows that count, weights or not.
  case meanRows = 3
}

/// What a divergence is, of a teacher's p and a student's q.
public enum Divergence: Int32, Sendable {
  /// Σ p·log(p/q)
  case kl = 0
  /// Σ q·log(q/p)
  case reverseKL = 1
  /// Σ −p·log q
  case softCrossEntropy = 2
  case jensenShannon = 3
}

/// Every option of a call. Not every function takes every option; what does not go together is an error that names the two.
///
///     var options = Options<Float>()
///     options.labelSmoothing = 0.1
public struct Options<Scalar: XentScalar>: Sendable {
  public var reduction = Reduction.mean
  /// Rows with this target do not count. Any value, also one of the classes.
  public var ignoreIndex: Int64 = -100
  /// In [0, 1].
  public var labelSmoothing = 0.0
  /// Smooths labels first and then weights rows by their target's weight, where PyTorch weights each class's share.
  public var smoothingIsUniform = false
  /// Logits are divided by it; > 0.
  public var temperature = 1.0
  /// Logits x become softcap·tanh(x / softcap) first; 0 is none.
  public var softcap = 0.0
  /// The loss is multiplied by (1 − p)^γ, p the target's probability.
  public var focalGamma = 0.0
  /// ε·(1 − p) is added to −log p (PolyLoss).
  public var polyEpsilon = 0.0
  /// zLoss·lse² is added to each row's loss.
  public var zLoss = 0.0
  /// A mean over no rows is 0 instead of NaN.
  public var emptyMeanIsZero = false
  /// A row of nothing but masks does not count, instead of being NaN.
  public var skipsMaskedRows = false
  public var divergence = Divergence.kl
  /// Probabilities and gradients of f32 within 3 ulp instead of 1, for less time.
  public var isFastest = false
  /// The most threads this call may use; 0 as ``setNumberOfThreads(_:)`` says.
  public var numberOfThreads = 0

  /// One for each class.
  public var weight: [Scalar.Real]?
  /// For the binary loss: a weight of the positive labels, for each class or of the logits' shape.
  public var posWeight: [Scalar.Real]?
  /// The upstream gradient: one number, or one for each row.
  public var gradLoss: [Scalar.Real]?
  /// Rows where it is 0 do not count.
  public var rowMask: [UInt8]?
  /// Classes where it is 0 have probability 0 and are no part of any sum.
  public var classMask: [UInt8]?
  /// Which classes' log-probabilities `Outputs.gathered` is to have: as many of each row, of shape (outer, k, inner).
  public var gather: [Int64]?
  /// How many classes `Outputs.top` is to have.
  public var top = 1

  public init() {}

  var plain: xent_options {
    let zeroIf = { (zero: Bool) in Int32(zero ? XENT_ZERO : XENT_NAN) }
    return xent_options(
      struct_size: MemoryLayout<xent_options>.size, reduction: reduction.rawValue,
      smoothing: Int32(smoothingIsUniform ? XENT_SMOOTHING_UNIFORM : XENT_SMOOTHING_WEIGHTED),
      empty_mean: zeroIf(emptyMeanIsZero), masked_row: zeroIf(skipsMaskedRows), divergence: divergence.rawValue,
      num_threads: Int32(clamping: numberOfThreads), ignore_index: ignoreIndex, label_smoothing: labelSmoothing,
      temperature: temperature, softcap: softcap, focal_gamma: focalGamma, poly_epsilon: polyEpsilon, z_loss: zLoss,
      weight: nil, pos_weight: nil, row_mask: nil, class_mask: nil, target_probs: nil, grad_loss: nil, gather: nil,
      accuracy: Int32(isFastest ? XENT_ACCURACY_FASTEST : XENT_ACCURACY_FAITHFUL), reserved: 0)
  }
}
