// SPDX-License-Identifier: Apache-2.0
// Three rows of logits, their loss, gradient and more from one pass, and what a mistake looks like.
import Xent

let logits: [Float] = [1, 2, 7, 4, 7, 9, 8, 3, 4]
let shape = Shape(rows: 3, classes: 3)

do {
  let results = try crossEntropyResults(
    logits, shape, targets: [2, 2, 0], [.loss, .gradient, .entropy, .correct])
  print("loss     \(results.loss) nats, \(results.correct) of 3 right")
  print("entropy  \(results.entropy)")
  print("grad     \(results.gradient[..<3]) of the first row")
  _ = try crossEntropy(logits, shape, targets: [2, 7, 0])
} catch {  // an XentError: the throws are typed
  print("error    \(error) (row \(error.row ?? -1), value \(error.value))")
}
