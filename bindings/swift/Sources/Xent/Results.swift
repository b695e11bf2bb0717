// SPDX-License-Identifier: Apache-2.0
import CXent

/// Which results a call is to give; all come from one pass over the logits.
public struct Outputs: OptionSet, Sendable {
  public let rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The reduced loss.
  public static let loss = Outputs(rawValue: 1 << 0)
  /// The loss of each row; of each element for the binary loss.
  public static let rowLoss = Outputs(rawValue: 1 << 1)
  /// d loss / d logits.
  public static let gradient = Outputs(rawValue: 1 << 2)
  public static let probs = Outputs(rawValue: 1 << 3)
  public static let logProbs = Outputs(rawValue: 1 << 4)
  public static let logSumExp = Outputs(rawValue: 1 << 5)
  /// In nats.
  public static let entropy = Outputs(rawValue: 1 << 6)
  public static let maxLogit = Outputs(rawValue: 1 << 7)
  public static let targetLogProb = Outputs(rawValue: 1 << 8)
  public static let zLoss = Outputs(rawValue: 1 << 9)
  public static let argmax = Outputs(rawValue: 1 << 10)
  public static let targetRank = Outputs(rawValue: 1 << 11)
  /// How many rows have their target as argmax.
  public static let correct = Outputs(rawValue: 1 << 12)
  public static let rowsCounted = Outputs(rawValue: 1 << 13)
  /// The sum of the losses, and what the mean divides by: for means over several batches.
  public static let sums = Outputs(rawValue: 1 << 14)
  /// The `options.top` most probable classes of each row, in order, and their log-probabilities.
  public static let top = Outputs(rawValue: 1 << 15)
  /// The log-probabilities of `options.gather`.
  public static let gathered = Outputs(rawValue: 1 << 16)
}

/// What a call gave. Arrays that were not asked for are empty, numbers 0.
public struct Results<Scalar: XentScalar>: Sendable {
  public internal(set) var loss: Scalar.Real = 0
  public internal(set) var rowLoss: [Scalar.Real] = []
  /// Of the logits' shape, as are `probs` and `logProbs`.
  public internal(set) var gradient: [Scalar] = []
  public internal(set) var probs: [Scalar] = []
  public internal(set) var logProbs: [Scalar] = []
  public internal(set) var logSumExp: [Scalar.Real] = []
  public internal(set) var entropy: [Scalar.Real] = []
  public internal(set) var maxLogit: [Scalar.Real] = []
  /// 0 in rows that do not count.
  public internal(set) var targetLogProb: [Scalar.Real] = []
  public internal(set) var zLoss: [Scalar.Real] = []
  public internal(set) var argmax: [Int64] = []
  /// How many classes come before the target: 0 is top-1; -1 in rows that do not count.
  public internal(set) var targetRank: [Int64] = []
  /// Of shape (outer, `options.top`, inner), as is `topLogProbs`.
  public internal(set) var topIndices: [Int64] = []
  public internal(set) var topLogProbs: [Scalar.Real] = []
  public internal(set) var gathered: [Scalar.Real] = []
  public internal(set) var correct: Int64 = 0
  public internal(set) var rowsCounted: Int64 = 0
  public internal(set) var lossSum = 0.0
  public internal(set) var weightSum = 0.0
}
