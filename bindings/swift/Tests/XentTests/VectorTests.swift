// SPDX-License-Identifier: Apache-2.0
import Foundation
import Testing

@testable import Xent

/// A number of Tests/Golden/vectors.json, or a word in the place of one.
private enum Value: Decodable {
  case integer(Int64)
  case real(Double)
  case word(String)

  init(from decoder: any Decoder) throws {
    let value = try decoder.singleValueContainer()
    if let integer = try? value.decode(Int64.self) {
      self = .integer(integer)
    } else if let real = try? value.decode(Double.self) {
      self = .real(real)
    } else {
      self = .word(try value.decode(String.self))
    }
  }

  var integer: Int64 {
    guard case .integer(let integer) = self else { preconditionFailure("\(self) is no integer") }
    return integer
  }

  var real: Double {
    switch self {
    case .integer(let integer): Double(integer)
    case .real(let real): real
    case .word(let word): Double(word)!  // inf, -inf, nan
    }
  }

  var word: String? {
    guard case .word(let word) = self else { return nil }
    return word
  }
}

private struct Case: Decodable {
  struct Output: Decodable {
    let maxULP: Int, values: [Value]

    enum CodingKeys: String, CodingKey {
      case values
      case maxULP = "max_ulp"
    }
  }
  struct Failure: Decodable {
    let status: String, row: Int, value: Int64, message: String
  }
  struct File: Decodable {
    let format: Int, cases: [Case]
  }

  let name: String, function: String, dtype: String, rows: Int, classes: Int
  let inputs: [String: [Value]], options: [String: Value]
  let outputs: [String: Output]?
  let error: Failure?

  var title: String { "\(function) \(dtype) \(name)" }
  var shape: Shape { Shape(rows: rows, classes: classes) }

  func floats<T: Written>(_ names: String..., as type: T.Type = T.self) -> [T]? {
    names.lazy.compactMap { inputs[$0] }.first?.map(T.read)
  }

  func integers<T: XentIndex>(_ name: String) -> [T]? { inputs[name]?.map { T($0.integer) } }

  static func all() throws -> [Case] {
    let url = URL(filePath: #filePath).appending(path: "../../../../../Tests/Golden/vectors.json").standardized
    let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
    try #require(file.format == 1)
    return file.cases
  }
}

/// A dtype as the file writes it, and its place in the order of all its numbers.
private protocol Written: XentScalar {
  static func read(_ value: Value) -> Self
  /// nil for NaN; -0 and 0 are one.
  var place: Int? { get }
}

private func ordered(_ magnitude: UInt64, _ isNegative: Bool, infinity: UInt64) -> Int? {
  magnitude > infinity ? nil : isNegative ? -Int(magnitude) : Int(magnitude)
}

extension Float: Written {
  fileprivate static func read(_ value: Value) -> Float { Float(value.real) }
  fileprivate var place: Int? {
    ordered(UInt64(magnitude.bitPattern), sign == .minus, infinity: UInt64(Float.infinity.bitPattern))
  }
}

extension Double: Written {
  fileprivate static func read(_ value: Value) -> Double { value.real }
  fileprivate var place: Int? { ordered(magnitude.bitPattern, sign == .minus, infinity: Double.infinity.bitPattern) }
}

extension Float16: Written {
  fileprivate static func read(_ value: Value) -> Float16 {
    value.word == "nan" ? .nan : Float16(bitPattern: UInt16(value.integer))
  }
  fileprivate var place: Int? { ordered(UInt64(magnitude.bitPattern), sign == .minus, infinity: 0x7C00) }
}

extension BFloat16: Written {
  fileprivate static func read(_ value: Value) -> BFloat16 {
    BFloat16(bitPattern: value.word == "nan" ? 0x7FC0 : UInt16(value.integer))
  }
  fileprivate var place: Int? { ordered(UInt64(bitPattern & 0x7FFF), bitPattern > 0x7FFF, infinity: 0x7F80) }
}

/// How many values were compared.
private nonisolated(unsafe) var compared = 0

private func compare<T: Written>(_ one: Case, _ output: String, _ got: [T]) {
  guard let expected = one.outputs?[output] else { return }
  let values = expected.values.map(T.read)
  #expect(values.count == got.count, "\(one.title) \(output)")
  for (n, (value, result)) in zip(values, got).enumerated() {
    let isRight =
      switch (value.place, result.place) {
      case (let a?, let b?): (a - b).magnitude <= expected.maxULP
      case (let a, let b): a == b
      }
    if !isRight { Issue.record("\(one.title) \(output)[\(n)]: \(result), not \(value)") }
    compared += 1
  }
}

private func compare(_ one: Case, _ output: String, _ got: [Int64]) {
  guard let expected = one.outputs?[output] else { return }
  #expect(expected.values.map(\.integer) == got, "\(one.title) \(output)")
  compared += 1
}

private func options<T: Written>(_ one: Case) -> Options<T> where T.Real: Written {
  var options = Options<T>()
  for (name, value) in one.options {
    switch name {
    case "reduction":
      options.reduction = ["none": .none, "mean": .mean, "sum": .sum, "mean_rows": .meanRows][value.word!]!
    case "divergence":
      let kinds: [String: Divergence] = [
        "reverse_kl": .reverseKL, "soft_cross_entropy": .softCrossEntropy, "jensen_shannon": .jensenShannon,
      ]
      options.divergence = kinds[value.word!]!
    case "smoothing": options.smoothingIsUniform = value.word == "uniform"
    case "accuracy": options.isFastest = value.word == "fastest"
    case "ignore_index": options.ignoreIndex = value.integer
    case "label_smoothing": options.labelSmoothing = value.real
    case "temperature": options.temperature = value.real
    case "softcap": options.softcap = value.real
    case "focal_gamma": options.focalGamma = value.real
    case "poly_epsilon": options.polyEpsilon = value.real
    case "z_loss": options.zLoss = value.real
    default: Issue.record("unknown option \(name)")
    }
  }
  options.weight = one.floats("weight")
  options.posWeight = one.floats("pos_weight")
  options.gradLoss = one.floats("grad_loss")
  options.rowMask = one.integers("row_mask")
  options.classMask = one.integers("class_mask")
  return options
}

private func results<T: Written>(_ one: Case, _ wanted: Outputs) throws(XentError) -> Results<T> where T.Real: Written {
  let options: Options<T> = options(one)
  let logits: [T] = one.floats("logits", "log_probs", "student", "probs")!
  let indices: [Int64]? = one.function == "binary_cross_entropy" ? nil : one.integers("targets")
  let soft: [T]? = indices == nil ? one.floats("probabilities", "teacher", "targets") : nil
  let targets: Targets<T> = indices.map { .indices($0) } ?? .probabilities(soft ?? [])
  var results = Results<T>()
  switch one.function {
  case "softmax": return try softmaxResults(logits, one.shape, options: options, wanted)
  case "cross_entropy": return try crossEntropyResults(logits, one.shape, targets: targets, options: options, wanted)
  case "binary_cross_entropy":
    return try binaryCrossEntropyResults(logits, one.shape, targets: soft!, options: options, wanted)
  case "divergence":
    return try divergenceResults(student: logits, teacher: soft!, one.shape, options: options, wanted)
  case "nll":
    if wanted.contains(.loss) { results.loss = try nllLoss(logits, one.shape, targets: targets, options: options) }
    if wanted.contains(.rowLoss) {
      results.rowLoss = try nllLossRows(logits, one.shape, targets: targets, options: options)
    }
    if wanted.contains(.gradient) {
      results.gradient = try nllLossGradient(logits, one.shape, targets: targets, options: options)
    }
  case "softmax_grad":
    let (probs, grads): ([T], [T]) = (one.floats("probs")!, one.floats("grad_probs")!)
    results.gradient = try softmaxGradient(probs: probs, gradProbs: grads, one.shape)
  case "log_softmax_grad":
    let (probs, grads): ([T], [T]) = (one.floats("log_probs")!, one.floats("grad_log_probs")!)
    results.gradient = try logSoftmaxGradient(logProbs: probs, gradLogProbs: grads, one.shape)
  default: Issue.record("unknown function \(one.function)")
  }
  return results
}

private func check<T: Written>(_ one: Case, _: T.Type) throws where T.Real: Written {
  let ofRows = one.options["reduction"]?.word == "none"
  let names: [String: Outputs] = [
    "loss": ofRows ? .rowLoss : .loss, "grad_logits": .gradient, "probs": .probs, "log_probs": .logProbs,
    "lse": .logSumExp, "entropy": .entropy, "target_log_prob": .targetLogProb, "argmax": .argmax,
    "target_rank": .targetRank, "correct": .correct, "rows_counted": .rowsCounted,
  ]
  if let expected = one.error {
    let error = #expect(throws: XentError.self, "\(one.title)") { let _: Results<T> = try results(one, .loss) }
    let kinds: [String: XentError.Kind] = [
      "XENT_ERR_TARGET": .target, "XENT_ERR_OPTION": .option, "XENT_ERR_UNSUPPORTED": .unsupported,
    ]
    #expect(error?.kind == kinds[expected.status], "\(one.title)")
    #expect(error?.row == (expected.row < 0 ? nil : expected.row) && error?.value == expected.value)
    #expect(error?.message == "xent_\(one.function): \(expected.message)")
    compared += 1
    return
  }
  let found: Results<T> = try results(one, (one.outputs ?? [:]).keys.reduce(into: []) { $0.formUnion(names[$1]!) })
  compare(one, "loss", ofRows ? found.rowLoss : [found.loss])
  compare(one, "grad_logits", found.gradient)
  compare(one, "probs", found.probs)
  compare(one, "log_probs", found.logProbs)
  compare(one, "lse", found.logSumExp)
  compare(one, "entropy", found.entropy)
  compare(one, "target_log_prob", found.targetLogProb)
  compare(one, "argmax", found.argmax)
  compare(one, "target_rank", found.targetRank)
  compare(one, "correct", [found.correct])
  compare(one, "rows_counted", [found.rowsCounted])
}

@Test func vectors() throws {
  for one in try Case.all() {
    switch one.dtype {
    case "f32": try check(one, Float.self)
    case "f64": try check(one, Double.self)
    case "f16": try check(one, Float16.self)
    case "bf16": try check(one, BFloat16.self)
    default: Issue.record("unknown dtype \(one.dtype)")
    }
  }
  #expect(compared > 5000)
}
