// SPDX-License-Identifier: Apache-2.0
import CXent

/// Calls with a view of logits, or of what has their shape.
func withInput<Buffer: XentBuffer & ~Escapable, Result>(
  _ name: StaticString, _ buffer: borrowing Buffer, _ shape: Shape, _ body: (xent_tensor) throws(XentError) -> Result
) throws(XentError) -> Result where Buffer.Element: XentScalar {
  try buffer.withXentBuffer { (memory) throws(XentError) in
    try body(shape.view(name, memory.baseAddress, count: memory.count, dtype: Buffer.Element.xentDType))
  }
}

/// Any number of results about rows of logits, from one pass: probabilities, log-sum-exp, entropy, argmax, ...
public func softmaxResults<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, options: Options<Buffer.Element> = .init(), _ wanted: Outputs
) throws(XentError) -> Results<Buffer.Element> where Buffer.Element: XentScalar {
  try withInput("logits", logits, shape) { (first) throws(XentError) in
    try Call(function: .softmax, shape: shape, options: options, first: first).run(wanted)
  }
}

/// The probability of each class.
public func softmax<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape
) throws(XentError) -> [Buffer.Element] where Buffer.Element: XentScalar {
  try softmaxResults(logits, shape, .probs).probs
}

/// The probability of each class, to memory of yours.
public func softmax<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, into probs: inout MutableSpan<Buffer.Element>
) throws(XentError) where Buffer.Element: XentScalar {
  try write(.probs, logits, shape, &probs)
}

/// The probability of each class, over the logits.
public func softmax<Scalar: XentScalar>(inPlace logits: inout MutableSpan<Scalar>, _ shape: Shape) throws(XentError) {
  try overwrite(.probs, &logits, shape)
}

/// The log-probability of each class.
public func logSoftmax<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape
) throws(XentError) -> [Buffer.Element] where Buffer.Element: XentScalar {
  try softmaxResults(logits, shape, .logProbs).logProbs
}

/// The log-probability of each class, to memory of yours.
public func logSoftmax<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, into logProbs: inout MutableSpan<Buffer.Element>
) throws(XentError) where Buffer.Element: XentScalar {
  try write(.logProbs, logits, shape, &logProbs)
}

/// The log-probability of each class, over the logits.
public func logSoftmax<Scalar: XentScalar>(
  inPlace logits: inout MutableSpan<Scalar>, _ shape: Shape
) throws(XentError) {
  try overwrite(.logProbs, &logits, shape)
}

/// The logarithm of the sum of the exponentials of each row.
public func logSumExp<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape
) throws(XentError) -> [Buffer.Element.Real] where Buffer.Element: XentScalar {
  try softmaxResults(logits, shape, .logSumExp).logSumExp
}

/// Backward of ``logSumExp(_:_:)``: from d loss / d lse, one a row, to d loss / d logits.
public func logSumExpGradient<Buffer: XentBuffer & ~Escapable>(
  _ logits: borrowing Buffer, _ shape: Shape, gradLSE: [Buffer.Element.Real]
) throws(XentError) -> [Buffer.Element] where Buffer.Element: XentScalar {
  var options = Options<Buffer.Element>()
  options.gradLoss = gradLSE
  return try softmaxResults(logits, shape, options: options, .gradient).gradient
}

/// Backward of ``softmax(_:_:)``: from its result and d loss / d probs to d loss / d logits.
public func softmaxGradient<Scalar: XentScalar>(
  probs: [Scalar], gradProbs: [Scalar], _ shape: Shape
) throws(XentError) -> [Scalar] {
  try backward(xent_softmax_grad, ("probs", "grad_probs"), probs, gradProbs, shape)
}

/// Backward of ``logSoftmax(_:_:)``: from its result and d loss / d log-probabilities to d loss / d logits.
public func logSoftmaxGradient<Scalar: XentScalar>(
  logProbs: [Scalar], gradLogProbs: [Scalar], _ shape: Shape
) throws(XentError) -> [Scalar] {
  try backward(xent_log_softmax_grad, ("log_probs", "grad_log_probs"), logProbs, gradLogProbs, shape)
}

private func write<Buffer: XentBuffer & ~Escapable>(
  _ place: Place, _ logits: borrowing Buffer, _ shape: Shape, _ result: inout MutableSpan<Buffer.Element>
) throws(XentError) where Buffer.Element: XentScalar {
  try withInput("logits", logits, shape) { (first) throws(XentError) in
    let call = Call<Buffer.Element>(function: .softmax, shape: shape, options: .init(), first: first)
    _ = try result.withUnsafeMutableBufferPointer { (memory) throws(XentError) in
      try call.run(place, to: memory, hasLoss: false)
    }
  }
}

private func overwrite<Scalar: XentScalar>(
  _ place: Place, _ logits: inout MutableSpan<Scalar>, _ shape: Shape
) throws(XentError) {
  _ = try logits.withUnsafeMutableBufferPointer { (memory) throws(XentError) in
    let first = try shape.view("logits", memory.baseAddress, count: memory.count, dtype: Scalar.xentDType)
    return try Call<Scalar>(function: .softmax, shape: shape, options: .init(), first: first)
      .run(place, to: memory, hasLoss: false)
  }
}

private typealias Backward = (
  UnsafePointer<xent_tensor>?, UnsafePointer<xent_tensor>?, UnsafePointer<xent_tensor>?,
  UnsafeMutablePointer<xent_error>?
) -> xent_status

private func backward<Scalar: XentScalar>(
  _ function: Backward, _ names: (StaticString, StaticString), _ outputs: [Scalar], _ grads: [Scalar], _ shape: Shape
) throws(XentError) -> [Scalar] {
  var gradient = Array(repeating: Scalar.zero, count: outputs.count)
  try withTensor(names.0, outputs, shape) { (outputs) throws(XentError) in
    try withTensor(names.1, grads, shape) { (grads) throws(XentError) in
      try gradient.withUnsafeMutableBufferPointer { (memory) throws(XentError) in
        var result = try shape.view("gradient", memory.baseAddress, count: memory.count, dtype: Scalar.xentDType)
        try XentError.check { function(outputs, grads, &result, $0) }
      }
    }
  }
  return gradient
}
