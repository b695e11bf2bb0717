// SPDX-License-Identifier: Apache-2.0
// Three rows of logits, their loss, gradient and more from one pass, and what a mistake looks like.
'use strict'
const xent = require('..')

const logits = Float32Array.of(1, 2, 7, 4, 7, 9, 8, 3, 4)
const wanted = ['loss', 'gradLogits', 'entropy', 'correct']
const found = xent.crossEntropyOutputs(logits, [3, 3], [2, 2, 0], wanted)
console.log(`loss     ${found.loss.toFixed(9)} nats, ${found.correct} of 3 right`)
console.log('entropy ', found.entropy)
console.log('grad    ', found.gradLogits.subarray(0, 3), 'of the first row')
try {
  xent.crossEntropy(logits, [3, 3], [2, 7, 0])
} catch (error) {
  console.log(`error    ${error.message} (${error.code}, row ${error.row}, value ${error.value})`)
}
