// SPDX-License-Identifier: Apache-2.0
import CXent

/// What a row's target is: `[2, 0]`, `.indices(bytes)`, `.probabilities(q)` or `.sparse(...)`.
public struct Targets<Scalar: XentScalar>: ExpressibleByArrayLiteral, Sendable {
  var indices: (any IndexArray)?
  var probabilities: [Scalar]?
  var perRow = 1

  /// A class for each row, of any integer type.
  public static func indices<Index: XentIndex>(_ indices: [Index]) -> Self { Targets(indices: indices) }

  /// A probability for each class of each row, of the logits' shape. They need not sum to 1.
  public static func probabilities(_ probabilities: [Scalar]) -> Self { Targets(probabilities: probabilities) }

  /// `perRow` classes for each row, of shape (outer, perRow, inner), and their probabilities; all others have none.
  public static func sparse<Index: XentIndex>(_ indices: [Index], probabilities: [Scalar], perRow: Int) -> Self {
    Targets(indices: indices, probabilities: probabilities, perRow: perRow)
  }

  public init(arrayLiteral elements: Int...) { indices = elements }

  init(indices: (any IndexArray)? = nil, probabilities: [Scalar]? = nil, perRow: Int = 1) {
    (self.indices, self.probabilities, self.perRow) = (indices, probabilities, perRow)
  }

  typealias Pointer = UnsafePointer<xent_tensor>

  /// Calls with (targets, target_probs) for the library.
  func withTensors<Result>(
    _ shape: Shape, _ body: (Pointer, Pointer?) throws(XentError) -> Result
  ) throws(XentError) -> Result {
    guard let indices else {
      return try withTensor("targets", probabilities ?? [], shape) { (q) throws(XentError) in try body(q!, nil) }
    }
    let shape = shape.with(perRow)
    return try indices.withIndices("targets", shape) { (t) throws(XentError) in
      try withTensor("target_probs", probabilities, shape) { (q) throws(XentError) in try body(t, q) }
    }
  }
}

/// An array of integers of any type.
protocol IndexArray: Sendable {
  func withIndices<Result>(
    _ name: StaticString, _ shape: Shape, _ body: (UnsafePointer<xent_tensor>) throws(XentError) -> Result
  ) throws(XentError) -> Result
}

extension Array: IndexArray where Element: XentIndex {
  func withIndices<Result>(
    _ name: StaticString, _ shape: Shape, _ body: (UnsafePointer<xent_tensor>) throws(XentError) -> Result
  ) throws(XentError) -> Result {
    try withUnsafeBufferPointer { (memory) throws(XentError) in
      var tensor = try shape.view(name, memory.baseAddress, count: count, dtype: Element.xentDType)
      return try withUnsafePointer(to: &tensor, body)
    }
  }
}

/// Calls with a view of an array, or with nil for none.
func withTensor<Scalar: XentScalar, Result>(
  _ name: StaticString, _ array: [Scalar]?, _ shape: Shape,
  _ body: (UnsafePointer<xent_tensor>?) throws(XentError) -> Result
) throws(XentError) -> Result {
  guard let array else { return try body(nil) }
  return try array.withUnsafeBufferPointer { (memory) throws(XentError) in
    var tensor = try shape.view(name, memory.baseAddress, count: array.count, dtype: Scalar.xentDType)
    return try withUnsafePointer(to: &tensor, body)
  }
}

/// The same of integers: masks, and classes to gather.
func withTensor<Index: XentIndex, Result>(
  _ name: StaticString, mask: [Index]?, _ shape: Shape,
  _ body: (UnsafePointer<xent_tensor>?) throws(XentError) -> Result
) throws(XentError) -> Result {
  guard let mask else { return try body(nil) }
  return try mask.withIndices(name, shape) { (tensor) throws(XentError) in try body(tensor) }
}
