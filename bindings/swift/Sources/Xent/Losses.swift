// SPDX-License-Identifier: Apache-2.0
import CXent

// ---- Cross-entropy ----

/// Any number of results about rows of logits and their targets, from one pass.
public func crossEntropyResults<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init(), _ wanted: Outputs
) throws(XentError) -> Results<Buffer.Element> where Buffer.Element: XentScalar {
  try withTargets(.crossEntropy, "logits", logits, shape, targets, options) { (call) throws(XentError) in
    try call.run(wanted)
  }
}

/// Cross-entropy of logits, reduced: with the defaults the mean over rows of −log p[target], in nats.
///
///     try crossEntropy([70, 0] as [Float], Shape(rows: 1, classes: 2), targets: [0])   // 3.97545e-31
public func crossEntropy<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init()
) throws(XentError) -> Buffer.Element.Real where Buffer.Element: XentScalar {
  try crossEntropyResults(logits, shape, targets: targets, options: options, .loss).loss
}

/// The cross-entropy of each row, before any reduction.
public func crossEntropyRows<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init()
) throws(XentError) -> [Buffer.Element.Real] where Buffer.Element: XentScalar {
  try crossEntropyResults(logits, shape, targets: targets, options: options, .rowLoss).rowLoss
}

/// The cross-entropy and its gradient for the logits, in one pass.
public func crossEntropyWithGradient<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init()
) throws(XentError) -> (loss: Buffer.Element.Real, gradient: [Buffer.Element]) where Buffer.Element: XentScalar {
  let results = try crossEntropyResults(logits, shape, targets: targets, options: options, [.loss, .gradient])
  return (results.loss, results.gradient)
}

/// The cross-entropy, and its gradient to memory of yours.
public func crossEntropyWithGradient<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init(), into gradient: inout MutableSpan<Buffer.Element>
) throws(XentError) -> Buffer.Element.Real where Buffer.Element: XentScalar {
  try withTargets(.crossEntropy, "logits", logits, shape, targets, options) { (call) throws(XentError) in
    try gradient.withUnsafeMutableBufferPointer { (memory) throws(XentError) in
      try call.run(.gradient, to: memory, hasLoss: true)
    }
  }
}

/// The cross-entropy, and its gradient over the logits.
public func crossEntropyWithGradient<Scalar: XentScalar>(
  inPlace logits: inout MutableSpan<Scalar>, _ shape: Shape, targets: Targets<Scalar>,
  options: Options<Scalar> = .init()
) throws(XentError) -> Scalar.Real {
  try logits.withUnsafeMutableBufferPointer { (memory) throws(XentError) in
    try withTargets(.crossEntropy, "logits", memory, shape, targets, options) { (call) throws(XentError) in
      try call.run(.gradient, to: memory, hasLoss: true)
    }
  }
}

// ---- Negative log-likelihood ----

/// The negative log-likelihood of log-probabilities, reduced.
public func nllLoss<Buffer: XentBuffer & ~Escapable>(
  _ logProbs: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init()
) throws(XentError) -> Buffer.Element.Real where Buffer.Element: XentScalar {
  try nllResults(logProbs, shape, targets, options, .loss).loss
}

/// The negative log-likelihood of each row.
public func nllLossRows<Buffer: XentBuffer & ~Escapable>(
  _ logProbs: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init()
) throws(XentError) -> [Buffer.Element.Real] where Buffer.Element: XentScalar {
  try nllResults(logProbs, shape, targets, options, .rowLoss).rowLoss
}

/// The gradient of the negative log-likelihood for the log-probabilities, which are not read.
public func nllLossGradient<Buffer: XentBuffer & ~Escapable>(
  _ logProbs: borrowing Buffer, _ shape: Shape, targets: Targets<Buffer.Element>,
  options: Options<Buffer.Element> = .init()
) throws(XentError) -> [Buffer.Element] where Buffer.Element: XentScalar {
  try nllResults(logProbs, shape, targets, options, .gradient).gradient
}

private func nllResults<Buffer: XentBuffer & ~Escapable>(
  _ logProbs: borrowing Buffer, _ shape: Shape, _ targets: Targets<Buffer.Element>, _ options: Options<Buffer.Element>,
  _ wanted: Outputs
) throws(XentError) -> Results<Buffer.Element> where Buffer.Element: XentScalar {
  try withTargets(.nll, "log_probs", logProbs, shape, targets, options) { (call) throws(XentError) in
    try call.run(wanted)
  }
}

// ---- Binary cross-entropy and divergences ----

/// Results of the binary cross-entropy of logits with multi-label targets of the same shape; `rowLoss` is of that shape too.
public func binaryCrossEntropyResults<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, targets: [Buffer.Element], options: Options<Buffer.Element> = .init(),
  _ wanted: Outputs
) throws(XentError) -> Results<Buffer.Element> where Buffer.Element: XentScalar {
  try withTargets(.binary, "logits", logits, shape, .probabilities(targets), options) { (call) throws(XentError) in
    try call.run(wanted)
  }
}

/// Binary cross-entropy of logits, reduced; the mean divides by the number of elements.
public func binaryCrossEntropy<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, targets: [Buffer.Element], options: Options<Buffer.Element> = .init()
) throws(XentError) -> Buffer.Element.Real where Buffer.Element: XentScalar {
  try binaryCrossEntropyResults(logits, shape, targets: targets, options: options, .loss).loss
}

/// Results of the divergence of a student's distribution from a teacher's, both given as logits; `options.divergence` says
/// which. The gradient is for the student's.
public func divergenceResults<Buffer: XentBuffer & ~Escapable>(
  student: borrowing Buffer, teacher: [Buffer.Element], _ shape: Shape, options: Options<Buffer.Element> = .init(),
  _ wanted: Outputs
) throws(XentError) -> Results<Buffer.Element> where Buffer.Element: XentScalar {
  try withTargets(.divergence, "student", student, shape, .probabilities(teacher), options) {
    (call) throws(XentError) in
    try call.run(wanted)
  }
}

/// The divergence of a student's distribution from a teacher's, reduced.
public func divergence<Buffer: XentBuffer & ~Escapable>(
  student: borrowing Buffer, teacher: [Buffer.Element], _ shape: Shape, options: Options<Buffer.Element> = .init()
) throws(XentError) -> Buffer.Element.Real where Buffer.Element: XentScalar {
  try divergenceResults(student: student, teacher: teacher, shape, options: options, .loss).loss
}

/// Calls with logits and what they are compared with.
private func withTargets<Buffer: XentBuffer & ~Escapable, Result>(
  _ function: Function, _ name: StaticString, _ logits: borrowing Buffer, _ shape: Shape,
  _ targets: Targets<Buffer.Element>, _ options: Options<Buffer.Element>,
  _ body: (Call<Buffer.Element>) throws(XentError) -> Result
) throws(XentError) -> Result where Buffer.Element: XentScalar {
  try withInput(name, logits, shape) { (first) throws(XentError) in
    try targets.withTensors(shape) { (second, targetProbs) throws(XentError) in
      let call = Call(
        function: function, shape: shape, options: options, first: first, second: second, targetProbs: targetProbs)
      return try body(call)
    }
  }
}
