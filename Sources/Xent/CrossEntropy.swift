import CXent
import CXentSystem
import XentCore

@implementation @_cdecl("xent_softmax")
public func xent_softmax(
  _ logits: UnsafePointer<xent_tensor>?, _ options: UnsafePointer<xent_options>?,
  _ outputs: UnsafePointer<xent_outputs>?, _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  door("xent_softmax", XENTK_ROWS, error) { call throws(Failure) in
    let o = try call.options(options)
    let wanted = try call.outputs(outputs)
    let sizes = try call.setInput(logits)
    try call.setOptions(o, .softmax, sizes)
    try call.setOutputs(wanted, .softmax, sizes, o.reduction)
    try call.finish(o, wanted, .softmax)
  }
}

@implementation @_cdecl("xent_cross_entropy")
public func xent_cross_entropy(
  _ logits: UnsafePointer<xent_tensor>?, _ targets: UnsafePointer<xent_tensor>?,
  _ options: UnsafePointer<xent_options>?, _ outputs: UnsafePointer<xent_outputs>?,
  _ error: UnsafeMutablePointer<xent_error>?
) -> xent_status {
  door("xent_cross_entropy", XENTK_ROWS, error) { call throws(Failure) in
    let o = try call.options(options)
    let wanted = try call.outputs(outputs)
    let sizes = try call.setInput(logits)
    let column = try call.setTargets(targets, o, sizes)
    try call.setOptions(o, column, sizes)
    try call.setOutputs(wanted, column, sizes, o.reduction)
    try call.finish(o, wanted, column)
  }
}

extension Call {
  /// Sets the targets, of whichever kind they are.
  fileprivate func setTargets(
    _ targets: UnsafePointer<xent_tensor>?, _ options: xent_options, _ sizes: Sizes
  ) throws(Failure) -> Column {
    guard let targets else { throw isNull("targets") }
    let given = try read("targets", targets, xent_tensor())
    if isFloating(given.dtype) {
      problem.pointee.target_kind = Int32(XENTK_PROBABILITIES)
      problem.pointee.targets = try tensor("targets", targets, .floating, sizes)?.array ?? xentk_array()
      return .probabilities
    }
    let isSparse = options.target_probs != nil
    let entries = Sizes(outer: sizes.outer, classes: isSparse ? given.classes : 1, inner: sizes.inner)
    problem.pointee.target_kind = Int32(isSparse ? XENTK_SPARSE : XENTK_INDEX)
    problem.pointee.targets = try tensor("targets", targets, .integer, entries)?.array ?? xentk_array()
    guard isSparse else { return .index }
    problem.pointee.target_probs =
      try tensor("target_probs", options.target_probs, .floating, entries)?.array ?? xentk_array()
    return .sparse
  }
}
