// From XLA's call frame to the structs of xent.h.

import CXent
import CXentSystem
import XentCore

// The fields of xent.h's structs by their names, each list in the order of fields that lie next to each other. The
// layouts are frozen within a major version (Tests/ABI/header.sh).
private let firstInputs: StaticString = "logits student log_probs probs"
private let secondInputs: StaticString = "targets teacher grad_log_probs grad_probs"
private let optionTensors: StaticString = "weight pos_weight row_mask class_mask target_probs grad_loss gather"
private let optionWords: StaticString = "reduction smoothing empty_mean masked_row divergence num_threads"
private let optionNumbers: StaticString = "label_smoothing temperature softcap focal_gamma poly_epsilon z_loss"
private let outputTensors: StaticString = """
  loss row_loss grad_logits probs log_probs lse entropy max_logit target_log_prob z_loss argmax target_rank \
  top_indices top_log_probs gathered
  """
private let wordsOffset = 8
private let ignoreIndexOffset = 32
private let numbersOffset = 40
private let tensorsOffset = 88
private let accuracyOffset = 144
private let outputsOffset = 8

/// Reads a call frame, once, and then points the tensors at one batch after the other.
struct XLAReader {
  let function: StaticString
  let frame: xents_xla_call_frame
  let tensors: UnsafeMutablePointer<xent_tensor>
  let options: UnsafeMutableRawPointer
  let outputs: UnsafeMutableRawPointer
  var inputNames = xents_xla_byte_span(), outputNames = xents_xla_byte_span()
  var rank: Int64 = -1, axis: Int64 = 1
  var hasSecond = false
  /// The number of dimensions before those of one call, and the number of calls.
  var leading = 0
  var batches: Int64 = 1
  /// Whether one call can do all batches: each row is its own affair.
  var isFolded = false

  init(
    _ function: StaticString, _ frame: xents_xla_call_frame, _ tensors: UnsafeMutablePointer<xent_tensor>,
    _ options: UnsafeMutablePointer<xent_options>, _ outputs: UnsafeMutablePointer<xent_outputs>
  ) {
    self.function = function
    self.frame = frame
    self.tensors = tensors
    options.pointee.struct_size = MemoryLayout<xent_options>.size
    options.pointee.reduction = Int32(XENT_REDUCTION_MEAN)
    options.pointee.ignore_index = Int64(XENT_IGNORE_INDEX)
    options.pointee.temperature = 1
    outputs.pointee.struct_size = MemoryLayout<xent_outputs>.size
    self.options = UnsafeMutableRawPointer(options)
    self.outputs = UnsafeMutableRawPointer(outputs)
  }

  mutating func read() throws(Failure) {
    for i in 0..<Int(frame.attrs.size) { try readAttribute(i) }
    let count = Int(frame.args.size)
    guard count > 0, frame.rets.size > 0, frame.args.size + frame.rets.size <= XLATensors.count else {
      throw failure { $0.add("args.size", Int64(count), ": too many buffers, or too few") }
    }
    let logits = frame.args.values!.pointee.pointee
    if rank < 0 { rank = logits.rank }
    guard rank <= logits.rank, axis >= 1, axis <= rank else {
      throw failure { text in
        text.add("axis", axis, ", rank ")
        text.add(rank)
        text.add(", for logits with so many dimensions: ")
        text.add(logits.rank)
      }
    }
    leading = Int(logits.rank - rank)
    guard frame.rets.values!.pointee.pointee.rank >= leading else {
      throw failure { $0.add("the first result has no place for the batches") }
    }
    var first = outputNames
    try checkSizes(first.nextWord(), frame.rets.values!.pointee.pointee)
    for d in 0..<leading { batches *= frame.rets.values!.pointee.pointee.dims![d] }
    isFolded = leading > 0
    try readTensors(inputNames, frame.args, isInput: true)
    try readTensors(outputNames, frame.rets, isInput: false)
    guard isFolded, batches > 0 else { return }
    for i in 0..<count + Int(frame.rets.size) { tensors[i].outer *= batches }
    batches = 1
  }

  func failure(_ compose: (inout Detail) -> Void) -> Failure {
    Failure(XENT_ERR_UNSUPPORTED, in: function.cString, compose)
  }

  func failure(_ name: xents_xla_byte_span, _ words: StaticString) -> Failure {
    failure { text in
      text.add(name)
      text.add(words)
    }
  }

  // ---- Attributes ---------------------------------------------------------------------------------------------------

  mutating func readAttribute(_ i: Int) throws(Failure) {
    let name = frame.attrs.names![i].pointee
    let attribute = frame.attrs.attrs![i]
    if Int(frame.attrs.types![i]) == XENTS_XLA_ATTR_STRING {
      let text = attribute.load(as: xents_xla_byte_span.self)
      if name.index(in: "inputs") != nil {
        inputNames = text
        return
      }
      if name.index(in: "outputs") != nil {
        outputNames = text
        return
      }
    } else if Int(frame.attrs.types![i]) == XENTS_XLA_ATTR_SCALAR {
      let scalar = attribute.load(as: xents_xla_scalar.self)
      switch Int(scalar.dtype) {
      case XENTS_XLA_S32:
        if let k = name.index(in: optionWords) {
          return (options + wordsOffset + 4 * k).copyMemory(from: scalar.value, byteCount: 4)
        }
        if name.index(in: "accuracy") != nil {
          return (options + accuracyOffset).copyMemory(from: scalar.value, byteCount: 4)
        }
      case XENTS_XLA_F64:
        if let k = name.index(in: optionNumbers) {
          return (options + numbersOffset + 8 * k).copyMemory(from: scalar.value, byteCount: 8)
        }
      case XENTS_XLA_S64:
        if name.index(in: "ignore_index") != nil {
          return (options + ignoreIndexOffset).copyMemory(from: scalar.value, byteCount: 8)
        }
        if name.index(in: "rank") != nil {
          rank = scalar.value.load(as: Int64.self)
          return
        }
        if name.index(in: "axis") != nil {
          axis = scalar.value.load(as: Int64.self)
          return
        }
      default: break
      }
    }
    throw failure(name, ": no attribute of this name and type")
  }

  // ---- Buffers ------------------------------------------------------------------------------------------------------

  mutating func readTensors(_ names: xents_xla_byte_span, _ values: xents_xla_values, isInput: Bool) throws(Failure) {
    var names = names
    for i in 0..<Int(values.size) {
      let name = names.nextWord()
      let place = tensors + (isInput ? i : Int(frame.args.size) + i)
      let address = UnsafeMutableRawPointer(place)
      if !isInput, let k = name.index(in: outputTensors) {
        (outputs + outputsOffset + 8 * k).storeBytes(of: address, as: UnsafeMutableRawPointer.self)
      } else if isInput, let k = name.index(in: optionTensors), i > 0 {
        (options + tensorsOffset + 8 * k).storeBytes(of: address, as: UnsafeMutableRawPointer.self)
      } else if isInput, i < 2, name.index(in: i == 0 ? firstInputs : secondInputs) != nil {
        hasSecond = i == 1
      } else {
        throw failure(name, isInput ? ": no input of this name in this place" : ": no output of this name")
      }
      try readTensor(place, name, values.values![i].pointee, isInput: isInput)
    }
    guard names.nextWord().len == 0 else { throw failure { $0.add("more names than buffers") } }
  }

  /// The sizes' product fits, with ones for zeros: then so does that of any of them, which are not looked at any more.
  private func checkSizes(_ name: xents_xla_byte_span, _ buffer: xents_xla_buffer) throws(Failure) {
    var bytes: Int64 = 8
    for d in 0..<Int(buffer.rank) {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: max(buffer.dims![d], 1))
      guard !overflow else { throw failure(name, " has too many elements") }
      bytes = product
    }
  }

  /// Says how a buffer lies. Rows are counted by the dimensions that are not the class axis.
  mutating func readTensor(
    _ tensor: UnsafeMutablePointer<xent_tensor>, _ name: xents_xla_byte_span, _ buffer: xents_xla_buffer,
    isInput: Bool
  ) throws(Failure) {
    try checkSizes(name, buffer)
    let own = Int(buffer.rank) - leading
    let isPerClass = own == 1 && name.index(in: "weight pos_weight class_mask") != nil
    let hasClasses = own == Int(rank) || isPerClass
    guard own == 0 || own == Int(rank) - 1 || hasClasses else {
      throw failure { text in
        text.add(name)
        text.add(" has so many dimensions: ")
        text.add(buffer.rank)
      }
    }
    let cut = isPerClass ? 0 : max(own - Int(hasClasses ? axis : axis - 1), 0)
    var sizes: (outer: Int64, classes: Int64, inner: Int64) = (1, 1, 1)
    for d in 0..<own {
      let size = buffer.dims![leading + d]
      if d < cut {
        sizes.outer *= size
      } else if hasClasses && d == cut {
        sizes.classes = size
      } else {
        sizes.inner *= size
      }
    }
    tensor.pointee = xent_tensor(
      struct_size: MemoryLayout<xent_tensor>.size, data: buffer.data, dtype: dtype(buffer.dtype), reserved: 0,
      outer: sizes.outer, classes: sizes.classes, inner: sizes.inner,
      outer_stride: sizes.classes * sizes.inner, class_stride: sizes.inner, inner_stride: 1)
    let isWhole = try hasEveryBatch(name, buffer, isInput: isInput)
    isFolded = isFolded && !isPerClass && canFold(name, own) && isWhole
  }

  /// Whether more batches are but more rows to this tensor.
  private func canFold(_ name: xents_xla_byte_span, _ own: Int) -> Bool {
    let reduction = Int(options.load(fromByteOffset: wordsOffset, as: Int32.self))
    let isReduced = reduction == XENT_REDUCTION_MEAN || reduction == XENT_REDUCTION_MEAN_ROWS
    return !isReduced && own >= Int(rank) - 1 && name.index(in: "loss") == nil
  }

  private func hasEveryBatch(_ name: xents_xla_byte_span, _ buffer: xents_xla_buffer, isInput: Bool) throws(Failure)
    -> Bool
  {
    let all = frame.rets.values!.pointee.pointee.dims
    var isWhole = true
    for d in 0..<leading where buffer.dims![d] != all![d] {
      guard isInput && buffer.dims![d] == 1 else { throw failure(name, " has another number of batches") }
      isWhole = false
    }
    return isWhole
  }

  /// Lets all tensors begin at a batch.
  func point(at batch: Int64) {
    guard leading > 0, !isFolded else { return }
    let all = frame.rets.values!.pointee.pointee.dims!
    for i in 0..<Int(frame.args.size + frame.rets.size) {
      let isInput = i < Int(frame.args.size)
      let buffer = isInput ? frame.args.values![i].pointee : frame.rets.values![i - Int(frame.args.size)].pointee
      let t = tensors[i]
      var stride = t.outer * t.classes * t.inner * Int64(size(of: t.dtype))
      var offset: Int64 = 0
      var rest = batch
      for d in (0..<leading).reversed() {
        if buffer.dims![d] != 1 { offset += rest % all[d] * stride }
        rest /= all[d]
        stride *= buffer.dims![d]
      }
      tensors[i].data = buffer.data.map { $0 + Int(offset) }
    }
  }
}

/// xent_dtype of one of XLA's, 0 for one that there is not.
private func dtype(_ dtype: Int32) -> Int32 {
  let code =
    switch Int(dtype) {
    case XENTS_XLA_F32: XENT_F32
    case XENTS_XLA_F64: XENT_F64
    case XENTS_XLA_F16: XENT_F16
    case XENTS_XLA_BF16: XENT_BF16
    case XENTS_XLA_S8: XENT_I8
    case XENTS_XLA_S16: XENT_I16
    case XENTS_XLA_S32: XENT_I32
    case XENTS_XLA_S64: XENT_I64
    case XENTS_XLA_U8, XENTS_XLA_PRED: XENT_U8
    case XENTS_XLA_U16: XENT_U16
    case XENTS_XLA_U32: XENT_U32
    case XENTS_XLA_U64: XENT_U64
    default: 0
    }
  return Int32(code)
}

extension xents_xla_byte_span {
  /// Takes the word in front, "" if there is none, and the space after it.
  fileprivate mutating func nextWord() -> xents_xla_byte_span {
    var word = self
    var length = 0
    while length < len && ptr![length] != CChar(UInt8(ascii: " ")) { length += 1 }
    word.len = length
    let step = min(length + 1, len)
    ptr = ptr.map { $0 + step }
    len -= step
    return word
  }

  /// Which of some words this is.
  fileprivate func index(in words: StaticString) -> Int? {
    var rest = xents_xla_byte_span(
      ptr: UnsafeRawPointer(words.utf8Start).assumingMemoryBound(to: CChar.self), len: words.utf8CodeUnitCount)
    var number = 0
    while rest.len > 0 {
      let word = rest.nextWord()
      var same = 0
      while same < min(len, word.len) && ptr![same] == word.ptr![same] { same += 1 }
      if same > 0 && same == len && same == word.len { return number }
      number += 1
    }
    return nil
  }
}

extension Detail {
  fileprivate mutating func add(_ name: xents_xla_byte_span) {
    for i in 0..<name.len { add(byte: UInt8(bitPattern: name.ptr![i])) }
  }
}
