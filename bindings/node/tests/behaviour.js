// SPDX-License-Identifier: Apache-2.0
// What is this package's own: shapes, types, memory, errors.
'use strict'
const assert = require('node:assert')
const fs = require('node:fs')
const path = require('node:path')
const test = require('node:test')
const xent = require('..')

const logits = Float32Array.of(1, 2, 7, 4, 7, 9)
const shape = [2, 3]

test('lengths and shapes are errors', () => {
  const message = (body, text) => assert.throws(body, { name: 'XentError', code: 'XENT_ERR_SIZE', message: text })
  message(() => xent.softmax(logits, [2, 2]), 'logits has 6 elements, not 2 * 2 * 1')
  message(() => xent.crossEntropy(logits, shape, [0]), 'targets has 1 elements, not 2 * 1 * 1')
  message(() => xent.crossEntropy(logits, shape, [0, 1], { weight: [1, 2] }), 'weight has 2 elements, not 1 * 3 * 1')
  message(() => xent.softmax(logits, shape, { out: new Float32Array(5) }), 'out has 5 elements, not 2 * 3 * 1')
  for (const bad of [[2], [2, 1.5], [-1, 3], 6, [2, 3, 1, 1], [2 ** 60, 3]]) {
    assert.throws(() => xent.softmax(logits, bad), { code: 'XENT_ERR_SIZE' })
  }
})

test('types are errors', () => {
  for (const body of [
    () => xent.softmax([1, 2], [1, 2]),
    () => xent.softmax(new Uint16Array(2), [1, 2]),
    () => xent.softmax(logits, shape, { out: new Float64Array(6) }),
    () => xent.softmax(logits, shape, { temprature: 2 }),
    () => xent.crossEntropy(logits, shape, [0, 1], { reduction: 'average' }),
    () => xent.crossEntropy(logits, shape, 'ab'),
    () => xent.crossEntropy(logits, shape, [0, 1], { weight: Float64Array.of(1, 2, 3) }),
    () => xent.crossEntropy(logits, shape, [0, 1], { labelSmoothing: 'much' }),
    () => xent.softmaxOutputs(logits, shape, ['probability'])
  ]) assert.throws(body, TypeError)
  assert.throws(() => xent.crossEntropy(logits, shape, [0, 1.5]), RangeError) // not an integer
})

test('in place', () => {
  const memory = logits.slice()
  assert.strictEqual(xent.softmax(memory, shape, { out: memory }), memory)
  assert.deepStrictEqual(memory, xent.softmax(logits, shape))
  const { loss, grad } = xent.crossEntropyWithGrad(logits, shape, [2, 1])
  const over = logits.slice()
  assert.strictEqual(xent.crossEntropyWithGrad(over, shape, [2, 1], { out: over }).loss, loss)
  assert.deepStrictEqual(over, grad)
  const partly = new Float32Array(12)
  partly.set(logits, 3)
  assert.throws(() => xent.softmax(partly.subarray(3, 9), shape, { out: partly.subarray(4, 10) }),
    { code: 'XENT_ERR_OVERLAP' })
})

test('targets of every type', () => {
  const expected = xent.crossEntropy(logits, shape, [2, 1])
  for (const Type of [Int8Array, Int16Array, Int32Array, Uint8Array, Uint8ClampedArray, Uint16Array, Uint32Array]) {
    assert.strictEqual(xent.crossEntropy(logits, shape, Type.of(2, 1)), expected)
  }
  for (const targets of [BigInt64Array.of(2n, 1n), BigUint64Array.of(2n, 1n), [2n, 1n],
    { probabilities: Float32Array.of(0, 0, 1, 0, 1, 0) },
    { indices: [2, 1], probabilities: Float32Array.of(1, 1), perRow: 1 }]) {
    assert.strictEqual(xent.crossEntropy(logits, shape, targets), expected)
  }
  assert.throws(() => xent.crossEntropy(logits, shape, BigUint64Array.of(2n, 2n ** 62n)),
    { code: 'XENT_ERR_TARGET', row: 1, value: 2n ** 62n })
  const ignored = xent.crossEntropyOutputs(logits, shape, [2n ** 60n, 1], ['rowsCounted'], { ignoreIndex: 2n ** 60n })
  assert.strictEqual(ignored.rowsCounted, 1)
})

test('a class axis in the middle, top and gather', () => {
  const middle = Float32Array.of(1, 4, 2, 7, 7, 9)
  assert.deepStrictEqual(xent.logSumExp(middle, [1, 3, 2]), xent.logSumExp(logits, shape))
  const all = xent.logSoftmax(logits, shape)
  const found = xent.softmaxOutputs(logits, shape, ['topIndices', 'topLogProbs', 'gathered'], { top: 2, gather: [2, 0] })
  assert.deepStrictEqual(found.topIndices, Int32Array.of(2, 1, 2, 1))
  assert.deepStrictEqual(found.topLogProbs, Float32Array.of(all[2], all[1], all[5], all[4]))
  assert.deepStrictEqual(found.gathered, Float32Array.of(all[2], all[3]))
})

test('reduction none', () => {
  const { loss, grad } = xent.crossEntropyWithGrad(logits, shape, [2, 1], { reduction: 'none' })
  assert.strictEqual(loss.length, 2)
  assert.strictEqual(grad.length, 6)
  const elements = xent.binaryCrossEntropyWithLogits(logits, shape, new Float32Array(6), { reduction: 'none' })
  assert.strictEqual(elements.length, 6)
})

test('the typings name what there is', () => {
  const typings = fs.readFileSync(path.join(__dirname, '../index.d.ts'), 'utf8')
  const declared = [...typings.matchAll(/^export (?:function|const|class) (\w+)/gm)].map(([, name]) => name)
  assert.deepStrictEqual(declared.sort(), Object.keys(xent).sort())
  const fields = (name) => {
    const body = typings.match(new RegExp(`export interface ${name}[^{]*\\{([\\s\\S]*?)\n\\}`))[1]
    return [...body.matchAll(/^ {2}(\w+)\??:/gm)].map(([, field]) => field)
  }
  // An option that does not exist is refused as such; so is an output. What these values make is no matter.
  for (const option of fields('Options')) {
    try {
      xent.crossEntropy(logits, shape, [0, 1], { [option]: 1 })
    } catch (error) {
      assert.doesNotMatch(error.message, /there is no option/)
    }
  }
  for (const output of fields('Outputs')) {
    const found = xent.crossEntropyOutputs(logits, shape, [0, 1], [output], { gather: [0, 1] })
    assert.deepStrictEqual(Object.keys(found), [output])
  }
})

test('threads and version', () => {
  assert.strictEqual(Math.floor(xent.version / 10000), 1)
  assert.ok(['baseline', 'v3', 'v4'].includes(xent.cpuLevel))
  xent.setNumThreads(2)
  assert.strictEqual(xent.getNumThreads(), 2)
  assert.throws(() => xent.setNumThreads(-1), { code: 'XENT_ERR_OPTION' })
  xent.setNumThreads(0)
})
