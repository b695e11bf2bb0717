// A Swift program that links libxent.a, whose own Swift code must not meet the host's runtime: arrays, errors, tasks and
// classes of the host work beside calls.
import CXent

final class Batch {
  let logits: [Float], targets: [Int64]
  init(rows: Int) {
    logits = (0..<rows * 10).map { Float($0 % 17) / 4 }
    targets = (0..<rows).map { Int64($0 % 10) }
  }
  func loss() throws -> Float {
    var loss: Float = 0
    let status = xent_cross_entropy_f32(
      logits, targets, Int64(targets.count), 10, nil, Int64(XENT_IGNORE_INDEX), Int32(XENT_REDUCTION_MEAN), &loss)
    guard status == XENT_OK else { throw Refused(text: String(cString: xent_last_error())) }
    return loss
  }
}
struct Refused: Error { let text: String }

let wanted = try Batch(rows: 9000).loss()
let losses = await withTaskGroup(of: Float?.self) { group in
  for _ in 0..<32 { group.addTask { try? Batch(rows: 9000).loss() } }
  return await group.reduce(into: [Float?]()) { $0.append($1) }
}
var words: [String: Int] = [:]
for word in "the host has a runtime of its own and the library has none".split(separator: " ") { words[String(word), default: 0] += 1 }
var probs = [Float](repeating: 0, count: 3)
let refused = xent_softmax_f32([1, 2, 7], -1, 3, &probs)
print(losses.allSatisfy { $0 == wanted } && words["the"] == 2 && refused == XENT_ERR_SIZE && wanted > 2 ? "right" : "wrong")
