// SPDX-License-Identifier: Apache-2.0
// Softmax cross-entropy over typed arrays. index.d.ts documents every function; nothing here computes.
'use strict'

// Where node-gyp puts it; XENT_NODE_ADDON names another.
const addon = require(process.env.XENT_NODE_ADDON || './build/Release/xent.node')

const F32 = 1, F64 = 2, I32 = 7, I64 = 8, U8 = 9
const DTYPES = { f32: F32, f64: F64, f16: 3, bf16: 4 }
const ARRAYS = [[Float32Array, F32], [Float64Array, F64], [Int8Array, 5], [Int16Array, 6], [Int32Array, I32],
  [BigInt64Array, I64], [Uint8Array, U8], [Uint8ClampedArray, U8], [Uint16Array, 10], [Uint32Array, 11],
  [BigUint64Array, 12]]
const STATUSES = ['OK', 'ERR_NULL', 'ERR_SIZE', 'ERR_TARGET', 'ERR_OPTION', 'ERR_OVERLAP', 'ERR_NO_MEMORY', 'ERR_DTYPE',
  'ERR_UNSUPPORTED']
const WORDS = {
  reduction: { none: 0, mean: 1, sum: 2, mean_rows: 3 },
  smoothing: { weighted: 0, uniform: 1 },
  emptyMean: { nan: 0, zero: 1 },
  maskedRow: { nan: 0, zero: 1 },
  accuracy: { faithful: 0, fastest: 1 },
  divergence: { kl: 0, reverse_kl: 1, soft_cross_entropy: 2, jensen_shannon: 3 }
}
const NUMBERS = ['numThreads', 'ignoreIndex', 'labelSmoothing', 'temperature', 'softcap', 'focalGamma', 'polyEpsilon',
  'zLoss']
const OF_LOGITS = ['gradLogits', 'probs', 'logProbs']
const NOT_FOR_C = ['dtype', 'out', 'outputs', 'top']

class XentError extends Error {
  constructor ({ status, row, value, message }) {
    super(message)
    this.name = 'XentError'
    this.status = status
    this.code = `XENT_${STATUSES[status] || status}`
    this.row = row < 0 ? null : row
    this.value = Number.isSafeInteger(Number(value)) ? Number(value) : value
  }
}

const sizeError = (message) => new XentError({ status: 2, row: -1, value: 0, message })
const snake = (name) => name.replace(/[A-Z]/g, (letter) => '_' + letter.toLowerCase())

// ---- Tensors --------------------------------------------------------------------------------------------------------

/** A shape of three sizes of what was given: [rows, classes] or [outer, classes, inner]. */
function sizesOf (shape) {
  const sizes = Array.isArray(shape) && shape.length === 2 ? [...shape, 1] : shape
  if (!Array.isArray(sizes) || sizes.length !== 3 || !sizes.every((n) => Number.isSafeInteger(n) && n >= 0)) {
    throw sizeError('shape is not [rows, classes] or [outer, classes, inner]')
  }
  return sizes
}

const count = (shape) => shape[0] * shape[1] * shape[2]
const perRow = ([outer, , inner]) => [outer, 1, inner]
const perClass = ([, classes]) => [1, classes, 1]
const SCALAR = [1, 1, 1]

/** A typed array with a shape, when it has as many elements. */
function tensor (name, data, dtype, shape) {
  if (data.length !== count(shape)) {
    throw sizeError(`${name} has ${data.length} elements, not ${shape.join(' * ')}`)
  }
  return { data, dtype, shape }
}

/** Integers: a typed array as it is, or numbers and bigints of any array. */
function integers (name, data, shape) {
  const found = ARRAYS.find(([type, dtype]) => data instanceof type && dtype > 4)
  if (found) return tensor(name, data, found[1], shape)
  if (!Array.isArray(data)) throw new TypeError(`${name} is not an array of integers`)
  return tensor(name, BigInt64Array.from(data, BigInt), I64, shape)
}

/** The dtype of logits, and how to make arrays of it and of its losses. */
class Kind {
  constructor (name, logits, dtype) {
    const bits = logits instanceof Uint16Array
    const found = ARRAYS.find(([type, number]) => logits instanceof type && number <= F64)
    if (!(bits ? dtype === 'f16' || dtype === 'bf16' : found)) {
      throw new TypeError(`${name} is not a Float32Array, a Float64Array, or a Uint16Array with dtype 'f16' or 'bf16'`)
    }
    this.Array = logits.constructor
    this.dtype = bits ? DTYPES[dtype] : found[1]
    this.Real = this.dtype === F64 ? Float64Array : Float32Array
    this.real = this.dtype === F64 ? F64 : F32
  }

  /** An input or output of this dtype; one array type serves both 16-bit dtypes. */
  floats (name, data, shape) {
    if (!(data instanceof this.Array)) throw new TypeError(`${name} is not a ${this.Array.name}`)
    return tensor(name, data, this.dtype, shape)
  }

  reals (name, data, shape) {
    const array = Array.isArray(data) ? this.Real.from(data) : data
    if (!(array instanceof this.Real)) throw new TypeError(`${name} is not a ${this.Real.name}`)
    return tensor(name, array, this.real, shape)
  }
}

// ---- Calls ----------------------------------------------------------------------------------------------------------

function optionsOf (options, kind, shape, isBinary) {
  const whole = (data) => isBinary && data.length === count(shape)
  const weights = (name, data) => kind.reals(name, data, whole(data) ? shape : perClass(shape))
  const arrays = {
    weight: weights,
    posWeight: weights,
    gradLoss: (name, data) =>
      kind.reals(name, data, data.length === 1 ? SCALAR : whole(data) ? shape : perRow(shape)),
    rowMask: (name, data) => integers(name, data, perRow(shape)),
    classMask: (name, data) => integers(name, data, perClass(shape)),
    gather: (name, data) => integers(name, data, [shape[0], count(shape) && data.length / (shape[0] * shape[2]), shape[2]])
  }
  const found = {}
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || NOT_FOR_C.includes(name)) continue
    if (name in WORDS) {
      if (!(value in WORDS[name])) throw new TypeError(`${name} is '${value}', not one of ${Object.keys(WORDS[name])}`)
      found[snake(name)] = WORDS[name][value]
    } else if (name in arrays) {
      found[snake(name)] = arrays[name](name, value)
    } else if (NUMBERS.includes(name)) {
      found[snake(name)] = value
    } else {
      throw new TypeError(`there is no option ${name}`)
    }
  }
  return found
}

/** New memory for each output by name, and what is given back of it. */
function outputsOf (names, kind, shape, isBinary, options) {
  const rows = perRow(shape)
  const of = (Type, dtype, size, unwrap = (data) => data) => () => {
    const data = new Type(count(size))
    return [{ data, dtype, shape: size }, () => unwrap(data)]
  }
  const elements = options.out
    ? () => [kind.floats('out', options.out, shape), () => options.out]
    : of(kind.Array, kind.dtype, shape)
  const statistic = of(kind.Real, kind.real, rows)
  const index = of(Int32Array, I32, rows)
  const first = (data) => Number(data[0])
  const top = [shape[0], options.top || 1, shape[2]]
  const makers = {
    loss: of(kind.Real, kind.real, SCALAR, first),
    rowLoss: isBinary ? of(kind.Real, kind.real, shape) : statistic,
    gradLogits: elements, probs: elements, logProbs: elements,
    lse: statistic, entropy: statistic, maxLogit: statistic, targetLogProb: statistic, zLoss: statistic,
    argmax: index, targetRank: index,
    topIndices: of(Int32Array, I32, top), topLogProbs: of(kind.Real, kind.real, top),
    gathered: () => of(kind.Real, kind.real, optionsOf({ gather: options.gather || [] }, kind, shape).gather.shape)(),
    correct: of(BigInt64Array, I64, SCALAR, first), rowsCounted: of(BigInt64Array, I64, SCALAR, first),
    lossSum: of(Float64Array, F64, SCALAR, first), weightSum: of(Float64Array, F64, SCALAR, first)
  }
  const fields = {}
  const results = {}
  for (const name of names) {
    if (!(name in makers)) throw new TypeError(`there is no output ${name}`)
    ;[fields[snake(name)], results[name]] = makers[name]()
  }
  return { fields, results: () => Object.fromEntries(names.map((name) => [name, results[name]()])) }
}

/** The one place that calls the library. */
function check (result) {
  if (result) throw new XentError(result)
}

function run (name, [label, logits, shape], second, options = {}, names) {
  const kind = new Kind(label, logits, options.dtype)
  const sizes = sizesOf(shape)
  const isBinary = name === 'binary_cross_entropy'
  const first = kind.floats(label, logits, sizes)
  const given = optionsOf(options, kind, sizes, isBinary)
  const other = second ? second(kind, sizes, given) : null
  const { fields, results } = outputsOf(names, kind, sizes, isBinary, options)
  if (options.out && names.filter((output) => OF_LOGITS.includes(output)).length !== 1) {
    throw new TypeError(`out is for one of ${OF_LOGITS}`)
  }
  check(addon.call(name, first, other, given, fields))
  return results()
}

const isIndices = (targets) => Array.isArray(targets) || ARRAYS.some(([T, d]) => targets instanceof T && d > 4)

/** Class indices, {probabilities}, or {indices, probabilities, perRow}. */
const targetsOf = (targets) => (kind, shape, given) => {
  if (isIndices(targets)) return integers('targets', targets, perRow(shape))
  const { indices, probabilities, perRow: k = 1 } = targets || {}
  if (!probabilities) throw new TypeError('targets are not integers, {probabilities} or {indices, probabilities, perRow}')
  if (!indices) return kind.floats('targets', probabilities, shape)
  const sparse = [shape[0], k, shape[2]]
  given.target_probs = kind.floats('probabilities', probabilities, sparse)
  return integers('targets', indices, sparse)
}
const same = (name, data) => (kind, shape) => kind.floats(name, data, shape)

const lossOf = (options) => options && options.reduction === 'none' ? 'rowLoss' : 'loss'

/** The functions of a loss: the loss, with its gradient, any outputs. */
function loss (name, label, second) {
  const plain = (a, shape, b, options) => {
    const wanted = lossOf(options)
    return run(name, [label, a, shape], second(b), options, [wanted])[wanted]
  }
  const withGrad = (a, shape, b, options) => {
    const wanted = lossOf(options)
    const found = run(name, [label, a, shape], second(b), options, [wanted, 'gradLogits'])
    return { loss: found[wanted], grad: found.gradLogits }
  }
  const outputs = (a, shape, b, names, options) => run(name, [label, a, shape], second(b), options, names)
  return { plain, withGrad, outputs }
}

const crossEntropy = loss('cross_entropy', 'logits', targetsOf)
const nll = loss('nll', 'logProbs', targetsOf)
const binary = loss('binary_cross_entropy', 'logits', (targets) => same('targets', targets))
const divergence = loss('divergence', 'student', (teacher) => same('teacher', teacher))

const softmaxOutputs = (logits, shape, names, options) => run('softmax', ['logits', logits, shape], null, options, names)
const one = (name) => (logits, shape, options) => softmaxOutputs(logits, shape, [name], options)[name]
const backward = (name, labels) => (outputs, grads, shape, options) =>
  run(name, [labels[0], outputs, shape], same(labels[1], grads), options, ['gradLogits']).gradLogits

module.exports = {
  XentError,
  softmax: one('probs'),
  logSoftmax: one('logProbs'),
  logSumExp: one('lse'),
  softmaxOutputs,
  logSumExpGrad: (logits, gradLse, shape, options) => one('gradLogits')(logits, shape, { ...options, gradLoss: gradLse }),
  softmaxGrad: backward('softmax_grad', ['probs', 'gradProbs']),
  logSoftmaxGrad: backward('log_softmax_grad', ['logProbs', 'gradLogProbs']),
  crossEntropy: crossEntropy.plain,
  crossEntropyWithGrad: crossEntropy.withGrad,
  crossEntropyOutputs: crossEntropy.outputs,
  nllLoss: nll.plain,
  nllLossWithGrad: nll.withGrad,
  binaryCrossEntropyWithLogits: binary.plain,
  binaryCrossEntropyWithLogitsWithGrad: binary.withGrad,
  divergence: divergence.plain,
  divergenceWithGrad: divergence.withGrad,
  version: addon.version,
  cpuLevel: addon.cpuLevel,
  getNumThreads: addon.getNumThreads,
  setNumThreads: (number) => check(addon.setNumThreads(number))
}
