// SPDX-License-Identifier: Apache-2.0
// What is this package's own: shapes, lengths, memory of every kind, in-place calls, errors.
import CXent
import Testing
import Xent

private let logits: [Float] = [1, 2, 7, 4, 7, 9]
private let shape = Shape(rows: 2, classes: 3)

private func message(_ body: () throws(XentError) -> Void) -> String {
  do throws(XentError) { try body() } catch { return error.message }
  return ""
}

@Test func lengthsAreErrors() {
  #expect(
    message { () throws(XentError) in _ = try softmax(logits, Shape(rows: 2, classes: 2)) }
      == "logits has 6 elements, not 2 * 2 * 1")
  #expect(
    message { () throws(XentError) in _ = try crossEntropy(logits, shape, targets: [0]) }
      == "targets has 1 elements, not 2 * 1 * 1")
  var options = Options<Float>()
  options.weight = [1, 2]
  #expect(
    message { () throws(XentError) in _ = try crossEntropy(logits, shape, targets: [0, 1], options: options) }
      == "weight has 2 elements, not 1 * 3 * 1")
  var short = [Float](repeating: 0, count: 5)
  #expect(
    message { () throws(XentError) in
      var span = short.mutableSpan
      try softmax(logits, shape, into: &span)
    } == "probs has 5 elements, not 2 * 3 * 1")
  // Products that would trap, or that no array has.
  for (rows, classes) in [(Int.max, 7), (1 << 32, 1 << 32), (-2, -3), (Int.max, 0)] {
    let none: [Float] = []
    #expect(throws: XentError.self) { try softmax(logits, Shape(rows: rows, classes: classes)) }
    #expect(throws: XentError.self) { try logSumExp(none, Shape(rows: rows, classes: classes)) }
  }
}

@Test func everyKindOfMemory() throws {
  let expected = try softmax(logits, shape)
  #expect(try softmax(logits.span, shape) == expected)
  #expect(try softmax(([0] + logits + [0])[1..<7], shape) == expected)
  #expect(try softmax(ContiguousArray(logits), shape) == expected)
  #expect(try logits.withUnsafeBufferPointer { try softmax($0, shape) } == expected)
  var memory = logits
  var span = memory.mutableSpan
  try softmax(inPlace: &span, shape)
  #expect(memory == expected)
  var into = [Float](repeating: 0, count: 6)
  var result = into.mutableSpan
  try logSoftmax(logits.span, shape, into: &result)
  #expect(into == (try logSoftmax(logits, shape)))
}

@Test func gradientsInPlace() throws {
  let expected = try crossEntropyWithGradient(logits, shape, targets: [2, 1])
  var memory = logits
  var span = memory.mutableSpan
  #expect(try crossEntropyWithGradient(inPlace: &span, shape, targets: [2, 1]) == expected.loss)
  #expect(memory == expected.gradient)
  var into = [Float](repeating: 0, count: 6)
  var result = into.mutableSpan
  #expect(try crossEntropyWithGradient(logits, shape, targets: [2, 1], into: &result) == expected.loss)
  #expect(into == expected.gradient)
}

@Test func classAxisInTheMiddle() throws {
  let middle: [Float] = [1, 4, 2, 7, 7, 9]
  #expect(try logSumExp(middle, Shape(outer: 1, classes: 3, inner: 2)) == logSumExp(logits, shape))
}

@Test func targetsOfEveryType() throws {
  let expected = try crossEntropy(logits, shape, targets: [2, 1])
  func same<Index: XentIndex>(_: Index.Type) throws {
    #expect(try crossEntropy(logits, shape, targets: .indices([2, 1] as [Index])) == expected)
  }
  for type: any XentIndex.Type in [Int.self, Int8.self, Int16.self, Int32.self, Int64.self] { try same(type) }
  for type: any XentIndex.Type in [UInt.self, UInt8.self, UInt16.self, UInt32.self, UInt64.self] { try same(type) }
  #expect(try crossEntropy(logits, shape, targets: .probabilities([0, 0, 1, 0, 1, 0])) == expected)
  let sparse = Targets<Float>.sparse([2, 1], probabilities: [1, 1], perRow: 1)
  #expect(try crossEntropy(logits, shape, targets: sparse) == expected)
}

@Test func errorsAreTyped() {
  do throws(XentError) {
    _ = try crossEntropy(logits, shape, targets: .indices([2, 156] as [UInt8]))
    Issue.record("156 is no class")
  } catch {
    #expect(error.kind == .target && error.row == 1 && error.value == 156)
    #expect("\(error)" == error.message)
  }
}

@Test func sumsOfABatch() throws {
  let results = try crossEntropyResults(logits, shape, targets: [2, 1], [.loss, .sums, .rowsCounted])
  #expect(results.weightSum == 2 && results.rowsCounted == 2)
  #expect(Float(results.lossSum / results.weightSum) == results.loss)
  #expect(results.probs.isEmpty)
}

@Test func topAndGather() throws {
  let all = try logSoftmax(logits, shape)
  var options = Options<Float>()
  (options.top, options.gather) = (2, [2, 0])
  let results = try softmaxResults(logits, shape, options: options, [.top, .gathered])
  #expect(results.topIndices == [2, 1, 2, 1])
  #expect(results.topLogProbs == [all[2], all[1], all[5], all[4]])
  #expect(results.gathered == [all[2], all[3]])
}

@Test func thinnessOfEnums() {
  #expect(Reduction.meanRows.rawValue == Int32(XENT_REDUCTION_MEAN_ROWS))
  #expect(Divergence.jensenShannon.rawValue == Int32(XENT_JENSEN_SHANNON))
}

@Test func library() throws {
  #expect(libraryVersion / 10000 == 1)
  #expect(["baseline", "v3", "v4"].contains(cpuLevel))
  try setNumberOfThreads(2)
  #expect(numberOfThreads == 2)
  #expect(throws: XentError.self) { try setNumberOfThreads(-1) }
  try setNumberOfThreads(0)
}
