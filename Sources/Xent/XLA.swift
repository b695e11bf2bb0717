// The handlers that XLA calls (xent_xla.h): its buffers become the tensors of a descriptor call, where they lie.

import CXent
import CXentSystem
import XentCore

@implementation @_cdecl("xent_xla_softmax")
public func xent_xla_softmax(_ call_frame: OpaquePointer) -> OpaquePointer? {
  handle(call_frame, "xent_xla_softmax") { xent_softmax($0.tensors, $0.options, $0.outputs, nil) }
}

@implementation @_cdecl("xent_xla_cross_entropy")
public func xent_xla_cross_entropy(_ call_frame: OpaquePointer) -> OpaquePointer? {
  handle(call_frame, "xent_xla_cross_entropy") {
    xent_cross_entropy($0.tensors, $0.second, $0.options, $0.outputs, nil)
  }
}

@implementation @_cdecl("xent_xla_nll")
public func xent_xla_nll(_ call_frame: OpaquePointer) -> OpaquePointer? {
  handle(call_frame, "xent_xla_nll") { xent_nll($0.tensors, $0.second, $0.options, $0.outputs, nil) }
}

@implementation @_cdecl("xent_xla_binary_cross_entropy")
public func xent_xla_binary_cross_entropy(_ call_frame: OpaquePointer) -> OpaquePointer? {
  handle(call_frame, "xent_xla_binary_cross_entropy") {
    xent_binary_cross_entropy($0.tensors, $0.second, $0.options, $0.outputs, nil)
  }
}

@implementation @_cdecl("xent_xla_divergence")
public func xent_xla_divergence(_ call_frame: OpaquePointer) -> OpaquePointer? {
  handle(call_frame, "xent_xla_divergence") { xent_divergence($0.tensors, $0.second, $0.options, $0.outputs, nil) }
}

@implementation @_cdecl("xent_xla_softmax_grad")
public func xent_xla_softmax_grad(_ call_frame: OpaquePointer) -> OpaquePointer? {
  handle(call_frame, "xent_xla_softmax_grad") {
    xent_softmax_grad($0.tensors, $0.second, $0.outputs.pointee.grad_logits, nil)
  }
}

@implementation @_cdecl("xent_xla_log_softmax_grad")
public func xent_xla_log_softmax_grad(_ call_frame: OpaquePointer) -> OpaquePointer? {
  handle(call_frame, "xent_xla_log_softmax_grad") {
    xent_log_softmax_grad($0.tensors, $0.second, $0.outputs.pointee.grad_logits, nil)
  }
}

/// What a descriptor function is called with.
private struct Arguments {
  let tensors: UnsafeMutablePointer<xent_tensor>
  let second: UnsafeMutablePointer<xent_tensor>?
  let options: UnsafeMutablePointer<xent_options>
  let outputs: UnsafeMutablePointer<xent_outputs>
}

/// As many tensors as there are names for.
typealias XLATensors = InlineArray<24, xent_tensor>

@inline(never) private func handle(
  _ opaque: OpaquePointer, _ function: StaticString, _ call: (Arguments) -> xent_status
) -> OpaquePointer? {
  let frame = UnsafePointer<xents_xla_call_frame>(opaque)
  if answersMetadata(frame) { return nil }
  guard Int(frame.pointee.stage) == XENTS_XLA_STAGE_EXECUTE else { return nil }
  var status = xent_status(XENT_OK)
  do throws(Failure) {
    var tensors = XLATensors(repeating: xent_tensor())
    var options = xent_options()
    var outputs = xent_outputs()
    try withUnsafeMutablePointer(to: &tensors) { tensors throws(Failure) in
      try withUnsafeMutablePointer(to: &options) { options throws(Failure) in
        try withUnsafeMutablePointer(to: &outputs) { outputs throws(Failure) in
          let tensors = UnsafeMutableRawPointer(tensors).assumingMemoryBound(to: xent_tensor.self)
          var reader = XLAReader(function, frame.pointee, tensors, options, outputs)
          try reader.read()
          let arguments = Arguments(
            tensors: tensors, second: reader.hasSecond ? tensors + 1 : nil, options: options, outputs: outputs)
          var batch: Int64 = 0
          while batch < reader.batches && Int(status) == XENT_OK {
            reader.point(at: batch)
            status = call(arguments)
            batch += 1
          }
        }
      }
    }
  } catch {
    status = error.status
  }
  return Int(status) == XENT_OK ? nil : xlaError(frame.pointee.api)
}

/// XLA asks a handler what it is by an extension of the call frame, when the handler is registered.
private func answersMetadata(_ frame: UnsafePointer<xents_xla_call_frame>) -> Bool {
  guard let base = frame.pointee.extension_start, Int(base.pointee.type) == XENTS_XLA_EXTENSION_METADATA else {
    return false
  }
  let metadata = UnsafeRawPointer(base).load(as: xents_xla_metadata_extension.self).metadata
  metadata.pointee.api_version.major_version = Int32(XENTS_XLA_API_MAJOR)
  metadata.pointee.api_version.minor_version = Int32(XENTS_XLA_API_MINOR)
  metadata.pointee.traits = 0
  return true
}

private func xlaError(_ api: UnsafePointer<xents_xla_api>?) -> OpaquePointer? {
  guard let api else { return nil }
  var error = xents_xla_error_create_args(
    struct_size: MemoryLayout<xents_xla_error_create_args>.size, extension_start: nil, message: Detail.last,
    errc: Int32(XENTS_XLA_ERROR_INVALID_ARGUMENT))
  return api.pointee.error_create(&error)
}
