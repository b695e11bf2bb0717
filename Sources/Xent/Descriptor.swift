// From a descriptor call's structs to a problem.

import CXent
import CXentSystem
import XentCore

/// The descriptor functions, by what they allow: the columns of the header's table.
enum Column {
  case softmax, index, sparse, probabilities, nll, binary, divergence

  var isSoft: Bool { self == .sparse || self == .probabilities }
  var isRows: Bool { self == .softmax || self == .index || isSoft }

  /// As texts call it.
  var name: StaticString {
    switch self {
    case .softmax: "xent_softmax"
    case .index: "index targets"
    case .sparse: "sparse targets"
    case .probabilities: "probability targets"
    case .nll: "xent_nll"
    case .binary: "xent_binary_cross_entropy"
    case .divergence: "xent_divergence"
    }
  }
}

extension Call {
  /// Sets the input, and with it the shape and the dtype of everything.
  func setInput(_ pointer: UnsafePointer<xent_tensor>?, mayBeNull: Bool = false) throws(Failure) -> Sizes {
    guard let input = try tensor(inputName, pointer, .logits, nil, mayBeNull: mayBeNull) else {
      throw isNull(inputName)
    }
    problem.pointee.input = input.array
    problem.pointee.rows = input.sizes.outer * input.sizes.inner
    problem.pointee.classes = input.sizes.classes
    problem.pointee.inner = max(input.sizes.inner, 1)
    return input.sizes
  }

  // ---- Options ------------------------------------------------------------------------------------------------------

  @inline(never) private func unsupported(_ name: StaticString, _ other: StaticString) -> Failure {
    failure(XENT_ERR_UNSUPPORTED) { text in
      text.add(name)
      text.add(" and ")
      text.add(other)
      text.add(" do not go together")
    }
  }

  @inline(never) private func need(_ isSupported: Bool, _ isAsked: Bool, _ name: StaticString, _ column: Column)
    throws(Failure)
  {
    if isAsked && !isSupported { throw unsupported(name, column.name) }
  }

  @inline(never) private func inRange(_ name: StaticString, _ value: Double, _ isFine: Bool, _ range: StaticString)
    throws(Failure)
  {
    guard isFine else { throw failure(XENT_ERR_OPTION) { $0.add(name, value, range) } }
  }

  @inline(never) private func inRange(_ name: StaticString, _ value: Int32, _ isFine: Bool, _ range: StaticString)
    throws(Failure)
  {
    guard isFine else { throw failure(XENT_ERR_OPTION) { $0.add(name, Int64(value), range) } }
  }

  /// Checks the options' values, and that they go with the function and each other.
  func setOptions(_ o: xent_options, _ column: Column, _ sizes: Sizes) throws(Failure) {
    try checkReduction(o.reduction)
    try inRange("smoothing", o.smoothing, (0...1).contains(o.smoothing), ", not 0 (weighted) or 1 (uniform)")
    try inRange("empty_mean", o.empty_mean, (0...1).contains(o.empty_mean), ", not 0 (NaN) or 1 (zero)")
    try inRange("masked_row", o.masked_row, (0...1).contains(o.masked_row), ", not 0 (NaN) or 1 (zero)")
    try inRange("divergence", o.divergence, (0...3).contains(o.divergence), ", not in [0, 3]")
    try inRange("num_threads", o.num_threads, (0...1024).contains(o.num_threads), ", not in [0, 1024]")
    try inRange("accuracy", o.accuracy, (0...1).contains(o.accuracy), ", not 0 (faithful) or 1 (fastest)")
    try inRange("reserved", o.reserved, o.reserved == 0, ", not 0")
    let smoothing = o.label_smoothing
    try inRange("label_smoothing", smoothing, smoothing >= 0 && smoothing <= 1, ", not in [0, 1]")
    try inRange(
      "temperature", o.temperature, o.temperature > 0 && o.temperature < .infinity,
      ", not a positive number; start from XENT_OPTIONS_INIT")
    try inRange("softcap", o.softcap, o.softcap >= 0 && o.softcap < .infinity, ", not a positive number, or 0")
    try inRange("focal_gamma", o.focal_gamma, o.focal_gamma >= 0 && o.focal_gamma < .infinity, ", not 0 or more")
    try inRange("poly_epsilon", o.poly_epsilon, o.poly_epsilon - o.poly_epsilon == 0, ", not a finite number")
    try inRange("z_loss", o.z_loss, o.z_loss >= 0 && o.z_loss < .infinity, ", not 0 or more")

    let isLoss = column != .softmax
    let isCrossEntropy = column == .index || column.isSoft
    try need(column.isRows || column == .divergence, o.temperature != 1, "temperature", column)
    try need(column.isRows || column == .divergence, o.softcap != 0, "softcap", column)
    try need(column.isRows || column == .divergence, o.class_mask != nil, "class_mask", column)
    try need(column.isRows || column == .divergence, o.masked_row != 0, "masked_row", column)
    try need(column != .divergence && isLoss, o.weight != nil, "weight", column)
    try need(isCrossEntropy, smoothing != 0, "label_smoothing", column)
    try need(column == .index, o.smoothing != 0, "smoothing", column)
    try need(column == .index, o.focal_gamma != 0, "focal_gamma", column)
    try need(column == .index, o.poly_epsilon != 0, "poly_epsilon", column)
    try need(column.isRows, o.z_loss != 0, "z_loss", column)
    try need(column == .sparse, o.target_probs != nil, "target_probs", column)
    try need(column == .binary, o.pos_weight != nil, "pos_weight", column)
    try need(column == .divergence, o.divergence != 0, "divergence", column)
    try need(column.isRows, o.gather != nil, "gather", column)
    if smoothing != 0 && o.focal_gamma != 0 { throw unsupported("label_smoothing", "focal_gamma") }
    if smoothing != 0 && o.poly_epsilon != 0 { throw unsupported("label_smoothing", "poly_epsilon") }
    if column == .probabilities && o.ignore_index >= 0 { throw unsupported("ignore_index", column.name) }

    problem.pointee.threads = o.num_threads
    problem.pointee.ignore_index = o.ignore_index
    problem.pointee.label_smoothing = smoothing
    problem.pointee.is_uniform = o.smoothing
    problem.pointee.is_fastest = o.accuracy
    problem.pointee.skips_masked = o.masked_row
    problem.pointee.divergence = o.divergence
    problem.pointee.temperature = o.temperature
    problem.pointee.softcap = o.softcap
    problem.pointee.focal_gamma = o.focal_gamma
    problem.pointee.poly_epsilon = o.poly_epsilon
    problem.pointee.z_loss = o.z_loss
    try setInputs(o, column, sizes)
  }

  /// The tensors among the options.
  private func setInputs(_ o: xent_options, _ column: Column, _ sizes: Sizes) throws(Failure) {
    let perRow = Sizes(outer: sizes.outer, classes: 1, inner: sizes.inner)
    let perClass = Sizes(outer: 1, classes: sizes.classes, inner: 1)
    let isBinary = column == .binary
    problem.pointee.weight = try broadcast("weight", o.weight, isBinary ? sizes : nil, perClass)
    problem.pointee.pos_weight = try broadcast("pos_weight", o.pos_weight, sizes, perClass)
    problem.pointee.row_mask = try tensor("row_mask", o.row_mask, .integer, perRow)?.array ?? xentk_array()
    problem.pointee.class_mask = try tensor("class_mask", o.class_mask, .integer, perClass)?.array ?? xentk_array()
    let one = Sizes(outer: 1, classes: 1, inner: 1)
    let isOne = isScalar(o.grad_loss)
    problem.pointee.grad_loss = try broadcast("grad_loss", o.grad_loss, isBinary ? sizes : nil, isOne ? one : perRow)
    if let gather = o.gather {
      let k = try read("gather", gather, xent_tensor()).classes
      let given = Sizes(outer: sizes.outer, classes: k, inner: sizes.inner)
      problem.pointee.gather = try tensor("gather", gather, .integer, given)?.array ?? xentk_array()
    }
  }

  private func isScalar(_ pointer: UnsafePointer<xent_tensor>?) -> Bool {
    guard let pointer, let t = try? read("grad_loss", pointer, xent_tensor()) else { return false }
    return t.outer == 1 && t.classes == 1 && t.inner == 1
  }

  /// A tensor of the smaller sizes, or, where it may be and it has not, of the full ones.
  private func broadcast(
    _ name: StaticString, _ pointer: UnsafePointer<xent_tensor>?, _ full: Sizes?, _ small: Sizes
  ) throws(Failure) -> xentk_array {
    guard let pointer else { return xentk_array() }
    var sizes = small
    if let full {
      let t = try read(name, pointer, xent_tensor())
      if t.outer != small.outer || t.classes != small.classes || t.inner != small.inner { sizes = full }
    }
    guard var array = try tensor(name, pointer, .floating, sizes)?.array else { return xentk_array() }
    if sizes.classes == 1 && problem.pointee.classes != 1 { array.class_stride = 0 }
    return array
  }

  // ---- Outputs ------------------------------------------------------------------------------------------------------

  func setOutputs(_ o: xent_outputs, _ column: Column, _ sizes: Sizes, _ reduction: Int32) throws(Failure) {
    let isLoss = column != .softmax
    try need(isLoss, o.loss != nil, "loss", column)
    try need(isLoss, o.row_loss != nil, "row_loss", column)
    try need(isLoss, o.loss_sum != nil, "loss_sum", column)
    try need(isLoss, o.weight_sum != nil, "weight_sum", column)
    try need(isLoss, o.rows_counted != nil, "rows_counted", column)
    try need(column.isRows, o.probs != nil, "probs", column)
    try need(column.isRows, o.log_probs != nil, "log_probs", column)
    try need(column.isRows, o.lse != nil, "lse", column)
    try need(column.isRows, o.entropy != nil, "entropy", column)
    try need(column.isRows, o.max_logit != nil, "max_logit", column)
    try need(column.isRows, o.argmax != nil, "argmax", column)
    try need(column.isRows, o.top_indices != nil, "top_indices", column)
    try need(column.isRows, o.top_log_probs != nil, "top_log_probs", column)
    try need(column.isRows, o.gathered != nil, "gathered", column)
    try need(column.isRows, o.z_loss != nil, "z_loss", column)
    try need(column == .index, o.target_log_prob != nil, "target_log_prob", column)
    try need(column == .index, o.target_rank != nil, "target_rank", column)
    try need(column == .index, o.correct != nil, "correct", column)
    if o.loss != nil && Int(reduction) == XENT_REDUCTION_NONE {
      throw unsupported("loss", "reduction none; row_loss has the loss of each row: they")
    }

    let perRow = Sizes(outer: sizes.outer, classes: 1, inner: sizes.inner)
    func output(
      _ name: StaticString, _ pointer: UnsafePointer<xent_tensor>?, _ kinds: Kinds, _ sizes: Sizes
    ) throws(Failure) -> xentk_array {
      try tensor(name, pointer, kinds, sizes, isOutput: true)?.array ?? xentk_array()
    }
    problem.pointee.grad = try output(gradName, o.grad_logits, .floating, sizes)
    problem.pointee.probs = try output("probs", o.probs, .floating, sizes)
    problem.pointee.log_probs = try output("log_probs", o.log_probs, .floating, sizes)
    problem.pointee.row_loss = try output(rowLossName, o.row_loss, .real, column == .binary ? sizes : perRow)
    problem.pointee.lse = try output("lse", o.lse, .real, perRow)
    problem.pointee.entropy = try output("entropy", o.entropy, .real, perRow)
    problem.pointee.max_logit = try output("max_logit", o.max_logit, .real, perRow)
    problem.pointee.target_log_prob = try output("target_log_prob", o.target_log_prob, .real, perRow)
    problem.pointee.row_z_loss = try output("z_loss", o.z_loss, .real, perRow)
    problem.pointee.argmax = try output("argmax", o.argmax, .index, perRow)
    problem.pointee.target_rank = try output("target_rank", o.target_rank, .index, perRow)
    try setTop(o, sizes)
    if let gathered = o.gathered {
      guard problem.pointee.gather.dtype != 0 else { throw isNull("gather") }  // data is NULL where it is empty
      problem.pointee.gathered = try output(
        "gathered", gathered, .real,
        Sizes(outer: sizes.outer, classes: problem.pointee.gather.classes, inner: sizes.inner))
    }
    problem.pointee.wants_correct = o.correct != nil ? 1 : 0
    problem.pointee.wants_loss = o.loss != nil || o.row_loss != nil || o.loss_sum != nil ? 1 : 0
  }

  private func setTop(_ o: xent_outputs, _ sizes: Sizes) throws(Failure) {
    guard let leader = o.top_indices ?? o.top_log_probs else { return }
    let name: StaticString = o.top_indices != nil ? "top_indices" : "top_log_probs"
    let k = try read(name, leader, xent_tensor()).classes
    guard k >= 0, k <= min(Int64(XENT_MAX_TOP), sizes.classes) else {
      throw failure(XENT_ERR_SIZE) { text in
        text.add(name)
        text.add(".classes", k, ", not in [0, ")
        text.add(min(Int64(XENT_MAX_TOP), sizes.classes))
        text.add("]")
      }
    }
    let given = Sizes(outer: sizes.outer, classes: k, inner: sizes.inner)
    problem.pointee.top_indices =
      try tensor("top_indices", o.top_indices, .index, given, isOutput: true)?.array ?? xentk_array()
    problem.pointee.top_log_probs =
      try tensor("top_log_probs", o.top_log_probs, .real, given, isOutput: true)?.array ?? xentk_array()
  }

  // ---- The call -----------------------------------------------------------------------------------------------------

  /// Counts the rows, runs, and stores what there is one of.
  @inline(never) func finish(_ options: xent_options, _ o: xent_outputs, _ column: Column) throws(Failure) {
    let one = Sizes(outer: 1, classes: 1, inner: 1)
    if let loss = try tensor("loss", o.loss, .real, one, isOutput: true) { problem.pointee.loss = loss.array }
    problem.pointee.correct = scalar(o.correct)
    problem.pointee.rows_counted = scalar(o.rows_counted)
    problem.pointee.loss_sum = scalar(o.loss_sum)
    problem.pointee.weight_sum = scalar(o.weight_sum)
    try checkOverlaps()
    try checkGather()
    problem.pointee.live_classes = Double(liveClasses())
    var counted = Counted()
    if column == .softmax && problem.pointee.row_mask.data == nil {
      counted.rows = problem.pointee.rows
    } else {
      let isMean = Int(options.reduction) == XENT_REDUCTION_MEAN
      counted = try count(needsWeight: isMean || o.weight_sum != nil)
    }
    if column == .softmax {
      _ = run()
      return
    }
    setDivisor(options.reduction, counted, elements: column == .binary)
    let total = run()
    let isMean =
      Int(options.reduction) == XENT_REDUCTION_MEAN || Int(options.reduction) == XENT_REDUCTION_MEAN_ROWS
    let isEmpty = counted.rows == 0 || (column == .binary && problem.pointee.classes == 0)
    let reduced = isMean && isEmpty ? (options.empty_mean == 0 ? Double.nan : 0) : total.reduced(problem)
    store(reduced, problem.pointee.loss.data, real)
    let elements = column == .binary ? counted.rows * problem.pointee.classes : counted.rows
    o.loss_sum?.pointee = total.sum
    o.weight_sum?.pointee = column == .binary ? Double(elements) : counted.weight.sum
    o.rows_counted?.pointee = elements
    o.correct?.pointee = total.correct
  }

  /// An int64 or a double of the caller's.
  private func scalar(_ place: UnsafeMutableRawPointer?) -> xentk_array {
    var array = xentk_array()
    array.data = place
    array.size = 8
    array.classes = 1
    return array
  }
}
