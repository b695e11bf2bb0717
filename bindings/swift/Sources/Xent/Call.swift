// SPDX-License-Identifier: Apache-2.0
import CXent

enum Function {
  case softmax, crossEntropy, nll, binary, divergence
}

/// Which result is to be written over the logits, or to memory of the caller's that is like them.
enum Place {
  case probs, logProbs, gradient
}

/// A call with its inputs as the library wants them; their memory is held by the closures around it.
struct Call<Scalar: XentScalar> {
  typealias Pointer = UnsafePointer<xent_tensor>

  let function: Function
  let shape: Shape
  let options: Options<Scalar>
  /// logits, log_probs or student
  var first: xent_tensor
  /// targets or teacher
  var second: Pointer?
  var targetProbs: Pointer?

  /// The one place that calls the library.
  func run(_ outputs: xent_outputs) throws(XentError) {
    let whole = { (array: [Scalar.Real]?) in function == .binary && array?.count == shape.count }
    let perClass = { (array: [Scalar.Real]?) in whole(array) ? shape : shape.perClass }
    let upstream = options.gradLoss?.count == 1 ? .scalar : whole(options.gradLoss) ? shape : shape.perRow
    try withTensor("weight", options.weight, perClass(options.weight)) { (weight) throws(XentError) in
      try withTensor("pos_weight", options.posWeight, perClass(options.posWeight)) { (positive) throws(XentError) in
        try withTensor("grad_loss", options.gradLoss, upstream) { (gradLoss) throws(XentError) in
          try withTensor("row_mask", mask: options.rowMask, shape.perRow) { (rowMask) throws(XentError) in
            try withTensor("class_mask", mask: options.classMask, shape.perClass) { (classMask) throws(XentError) in
              try withTensor("gather", mask: options.gather, gatherShape) { (gather) throws(XentError) in
                var given = options.plain
                (given.weight, given.pos_weight, given.grad_loss) = (weight, positive, gradLoss)
                (given.row_mask, given.class_mask, given.gather) = (rowMask, classMask, gather)
                given.target_probs = targetProbs
                try run(given, outputs)
              }
            }
          }
        }
      }
    }
  }

  /// As many classes of each row as of every other.
  private var gatherShape: Shape {
    let rows = shape.rows
    return shape.with(rows == 0 ? 0 : (options.gather?.count ?? 0) / rows)
  }

  private func run(_ options: xent_options, _ outputs: xent_outputs) throws(XentError) {
    var (first, options, outputs) = (first, options, outputs)
    try XentError.check { error in
      switch function {
      case .softmax: xent_softmax(&first, &options, &outputs, error)
      case .crossEntropy: xent_cross_entropy(&first, second, &options, &outputs, error)
      case .nll: xent_nll(&first, second, &options, &outputs, error)
      case .binary: xent_binary_cross_entropy(&first, second, &options, &outputs, error)
      case .divergence: xent_divergence(&first, second, &options, &outputs, error)
      }
    }
  }

  /// One result in memory of the shape of the logits, perhaps the logits themselves, and the loss if it is wanted.
  func run(
    _ place: Place, to memory: UnsafeMutableBufferPointer<Scalar>, hasLoss: Bool
  ) throws(XentError) -> Scalar.Real {
    let name: StaticString = place == .gradient ? "gradient" : "probs"
    var tensor = try shape.view(name, memory.baseAddress, count: memory.count, dtype: Scalar.xentDType)
    var loss: Scalar.Real = 0
    try withUnsafePointer(to: &tensor) { (tensor) throws(XentError) in
      try withUnsafeMutablePointer(to: &loss) { (loss) throws(XentError) in
        var scalar = try Shape.scalar.view("loss", loss, count: 1, dtype: Scalar.Real.xentDType)
        try withUnsafePointer(to: &scalar) { (scalar) throws(XentError) in
          var outputs = xent_outputs()
          outputs.struct_size = MemoryLayout<xent_outputs>.size
          outputs.loss = hasLoss ? scalar : nil
          switch place {
          case .probs: outputs.probs = tensor
          case .logProbs: outputs.log_probs = tensor
          case .gradient: outputs.grad_logits = tensor
          }
          try run(outputs)
        }
      }
    }
    return loss
  }

  /// Any number of results, in new arrays.
  func run(_ wanted: Outputs) throws(XentError) -> Results<Scalar> {
    let perRow = shape.perRow
    let loss = Slot<Scalar.Real>("loss", .scalar, \.loss, wanted.contains(.loss))
    let losses = function == .binary ? shape : perRow
    let rowLoss = Slot<Scalar.Real>("row_loss", losses, \.row_loss, wanted.contains(.rowLoss))
    let gradient = Slot<Scalar>("gradient", shape, \.grad_logits, wanted.contains(.gradient))
    let probs = Slot<Scalar>("probs", shape, \.probs, wanted.contains(.probs))
    let logProbs = Slot<Scalar>("log_probs", shape, \.log_probs, wanted.contains(.logProbs))
    let lse = Slot<Scalar.Real>("lse", perRow, \.lse, wanted.contains(.logSumExp))
    let entropy = Slot<Scalar.Real>("entropy", perRow, \.entropy, wanted.contains(.entropy))
    let maxLogit = Slot<Scalar.Real>("max_logit", perRow, \.max_logit, wanted.contains(.maxLogit))
    let logProb = Slot<Scalar.Real>("log_prob", perRow, \.target_log_prob, wanted.contains(.targetLogProb))
    let zLoss = Slot<Scalar.Real>("z_loss", perRow, \.z_loss, wanted.contains(.zLoss))
    let argmax = Slot<Int64>("argmax", perRow, \.argmax, wanted.contains(.argmax))
    let rank = Slot<Int64>("target_rank", perRow, \.target_rank, wanted.contains(.targetRank))
    let (hasTop, top) = (wanted.contains(.top), shape.with(options.top))
    let topIndices = Slot<Int64>("top_indices", top, \.top_indices, hasTop)
    let topLogProbs = Slot<Scalar.Real>("top_log_probs", top, \.top_log_probs, hasTop)
    let gathered = Slot<Scalar.Real>("gathered", gatherShape, \.gathered, wanted.contains(.gathered))
    let slots: [any OutputSlot] = [
      loss, rowLoss, gradient, probs, logProbs, lse, entropy, maxLogit, logProb, zLoss, argmax, rank, topIndices,
      topLogProbs, gathered,
    ]

    var results = Results<Scalar>()
    var outputs = xent_outputs()
    outputs.struct_size = MemoryLayout<xent_outputs>.size
    try withUnsafeMutablePointer(to: &results) { (results) throws(XentError) in
      try withNumbers(results) { (correct, counted, lossSum, weightSum) throws(XentError) in
        if wanted.contains(.correct) { outputs.correct = correct }
        if wanted.contains(.rowsCounted) { outputs.rows_counted = counted }
        if wanted.contains(.sums) { (outputs.loss_sum, outputs.weight_sum) = (lossSum, weightSum) }
        try fill(slots[...], outputs)
      }
    }
    if let scalar = loss.array.first { results.loss = scalar }
    (results.rowLoss, results.gradient, results.probs) = (rowLoss.array, gradient.array, probs.array)
    (results.logProbs, results.logSumExp, results.entropy) = (logProbs.array, lse.array, entropy.array)
    (results.maxLogit, results.targetLogProb, results.zLoss) = (maxLogit.array, logProb.array, zLoss.array)
    (results.argmax, results.targetRank) = (argmax.array, rank.array)
    (results.topIndices, results.topLogProbs, results.gathered) = (topIndices.array, topLogProbs.array, gathered.array)
    return results
  }

  /// Goes down the slots, each holding its array's memory, and calls at the end.
  private func fill(_ slots: ArraySlice<any OutputSlot>, _ outputs: xent_outputs) throws(XentError) {
    guard let slot = slots.first else { return try run(outputs) }
    try slot.withTensor { (field, tensor) throws(XentError) in
      var outputs = outputs
      outputs[keyPath: field] = tensor
      try fill(slots.dropFirst(), outputs)
    }
  }

  private typealias Numbers = (
    UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Int64>, UnsafeMutablePointer<Double>, UnsafeMutablePointer<Double>
  )

  private func withNumbers(
    _ results: UnsafeMutablePointer<Results<Scalar>>,
    _ body: (Numbers) throws(XentError) -> Void
  ) throws(XentError) {
    try withUnsafeMutablePointer(to: &results.pointee.correct) { (correct) throws(XentError) in
      try withUnsafeMutablePointer(to: &results.pointee.rowsCounted) { (counted) throws(XentError) in
        try withUnsafeMutablePointer(to: &results.pointee.lossSum) { (lossSum) throws(XentError) in
          try withUnsafeMutablePointer(to: &results.pointee.weightSum) { (weightSum) throws(XentError) in
            try body((correct, counted, lossSum, weightSum))
          }
        }
      }
    }
  }
}

/// An output that may be wanted: its new array and its field.
private protocol OutputSlot {
  typealias Field = WritableKeyPath<xent_outputs, UnsafePointer<xent_tensor>?>
  func withTensor(_ body: (Field, UnsafePointer<xent_tensor>?) throws(XentError) -> Void) throws(XentError)
}

private final class Slot<Element>: OutputSlot {
  var array: [Element] = []
  private let name: StaticString, shape: Shape, field: Field, isWanted: Bool, dtype: Int32, zero: Element

  private init(_ name: StaticString, _ shape: Shape, _ field: Field, _ isWanted: Bool, _ dtype: Int32, _ zero: Element)
  {
    (self.name, self.shape, self.field, self.isWanted) = (name, shape, field, isWanted)
    (self.dtype, self.zero) = (dtype, zero)
  }

  convenience init(_ name: StaticString, _ shape: Shape, _ field: Field, _ isWanted: Bool) where Element: XentScalar {
    self.init(name, shape, field, isWanted, Element.xentDType, .zero)
  }

  convenience init(_ name: StaticString, _ shape: Shape, _ field: Field, _ isWanted: Bool) where Element == Int64 {
    self.init(name, shape, field, isWanted, Int64.xentDType, 0)
  }

  func withTensor(_ body: (Field, UnsafePointer<xent_tensor>?) throws(XentError) -> Void) throws(XentError) {
    guard isWanted else { return try body(field, nil) }
    guard shape.count != Int.max else { throw .size("\(name) does not fit the address space") }
    array = Array(repeating: zero, count: shape.count)
    try array.withUnsafeMutableBufferPointer { (memory) throws(XentError) in
      var tensor = try shape.view(name, memory.baseAddress, count: memory.count, dtype: dtype)
      try withUnsafePointer(to: &tensor) { (tensor) throws(XentError) in try body(field, tensor) }
    }
  }
}
