// SPDX-License-Identifier: Apache-2.0
// Tests/Golden/vectors.json; Tests/Golden/vectors.py describes it.
'use strict'
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const test = require('node:test')
const xent = require('..')

const file = JSON.parse(fs.readFileSync(path.join(__dirname, '../../../Tests/Golden/vectors.json'), 'utf8'))
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())
const number = (value) => typeof value === 'string' ? Number(value.replace('inf', 'Infinity')) : value
const floats = { f32: Float32Array, f64: Float64Array, f16: Uint16Array, bf16: Uint16Array }
const real = (dtype) => dtype === 'f64' ? 'f64' : 'f32'
const REALS = ['loss', 'lse', 'entropy', 'max_logit', 'target_log_prob', 'weight', 'pos_weight', 'grad_loss']
const dtypeOf = (name, dtype) => REALS.includes(name) ? real(dtype) : dtype
const INFINITY = { f32: 0x7F800000n, f64: 0x7FF0000000000000n, f16: 0x7C00n, bf16: 0x7F80n }

/** A number's place in the order of all of its dtype; null for NaN; -0 and 0 are one. */
function place (value, dtype) {
  const width = { f32: 32n, f64: 64n }[dtype] || 16n
  const view = new DataView(new ArrayBuffer(8))
  let bits = 0n
  if (dtype === 'f64') view.setFloat64(0, value), bits = view.getBigUint64(0)
  else if (dtype === 'f32') view.setFloat32(0, value), bits = BigInt(view.getUint32(0))
  else if (Number.isNaN(value)) return null
  else bits = BigInt(value)
  const sign = bits >> (width - 1n)
  const magnitude = bits - (sign << (width - 1n))
  return magnitude > INFINITY[dtype] ? null : sign ? -magnitude : magnitude
}

let compared = 0
function compare (title, name, expected, got, dtype) {
  got = typeof got === 'number' ? [got] : Array.from(got)
  assert.strictEqual(got.length, expected.values.length, title)
  if (['argmax', 'target_rank', 'correct', 'rows_counted'].includes(name)) {
    assert.deepStrictEqual(got, expected.values, `${title} ${name}`)
    compared++
    return
  }
  expected.values.forEach((value, n) => {
    const [a, b] = [place(number(value), dtype), place(got[n], dtype)]
    const distance = a === null || b === null ? (a === b ? 0 : Infinity) : Math.abs(Number(a - b))
    assert.ok(distance <= expected.max_ulp, `${title} ${name}[${n}]: ${got[n]}, not ${value}`)
    compared++
  })
}

/** The results of a case by their names in the file. */
function results (one, names) {
  const { dtype, inputs, function: name } = one
  const of = (input) => inputs[input] && floats[dtypeOf(input, dtype)].from(inputs[input], number)
  const options = {}
  for (const [option, value] of Object.entries(one.options)) options[camel(option)] = value
  for (const option of ['weight', 'pos_weight', 'grad_loss']) if (inputs[option]) options[camel(option)] = of(option)
  for (const option of ['row_mask', 'class_mask']) options[camel(option)] = inputs[option]
  if (floats[dtype] === Uint16Array) options.dtype = dtype
  const shape = [one.rows, one.classes]
  const targets = inputs.probabilities ? { probabilities: of('probabilities') } : inputs.targets
  const outputs = names.map((output) => output === 'loss' && options.reduction === 'none' ? 'rowLoss' : camel(output))
  const pair = ({ loss, grad }) => ({ loss, rowLoss: loss, gradLogits: grad })
  const found = {
    softmax: () => xent.softmaxOutputs(of('logits'), shape, outputs, options),
    cross_entropy: () => xent.crossEntropyOutputs(of('logits'), shape, targets, outputs, options),
    nll: () => pair(xent.nllLossWithGrad(of('log_probs'), shape, targets, options)),
    binary_cross_entropy: () =>
      pair(xent.binaryCrossEntropyWithLogitsWithGrad(of('logits'), shape, of('targets'), options)),
    divergence: () => pair(xent.divergenceWithGrad(of('student'), shape, of('teacher'), options)),
    softmax_grad: () => ({ gradLogits: xent.softmaxGrad(of('probs'), of('grad_probs'), shape, options) }),
    log_softmax_grad: () => ({ gradLogits: xent.logSoftmaxGrad(of('log_probs'), of('grad_log_probs'), shape, options) })
  }[name]()
  return Object.fromEntries(names.map((output, n) => [output, found[outputs[n]]]))
}

test('vectors', () => {
  assert.strictEqual(file.format, 1)
  for (const one of file.cases) {
    const title = `${one.function} ${one.dtype} ${one.name}`
    if (one.error) {
      const { status, row, value, message } = one.error
      assert.throws(() => results(one, ['loss']), (error) => {
        assert.ok(error instanceof xent.XentError, title)
        assert.deepStrictEqual([error.code, error.row, error.value, error.message],
          [status, row < 0 ? null : row, value, `xent_${one.function}: ${message}`])
        return true
      })
      compared++
      continue
    }
    const found = results(one, Object.keys(one.outputs))
    for (const [name, expected] of Object.entries(one.outputs)) {
      compare(title, name, expected, found[name], dtypeOf(name, one.dtype))
    }
  }
  assert.ok(compared > 5000)
})
