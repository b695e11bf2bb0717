// The plan, the threads and the door, from inside.

import CXent
import CXentSystem
import Testing
import XentCore

@testable import Xent
@testable import XentRuntime

@Suite(.serialized) struct RuntimeTests {
  @Test func planCoversEveryRowOnce() {
    for rows: Int64 in [1, 2, 7, 8, 9, 127, 128, 129, 1000, 4096, 65537, 1 << 40] {
      for classes: Int64 in [0, 1, 10, 1000, 16384, 300_000] {
        var problem = xentk_problem()
        problem.operation = xentk_operation(XENTK_CROSS_ENTROPY)
        problem.rows = rows
        problem.classes = classes
        let plan = Plan(problem)
        #expect(plan.segments >= 1 && plan.segments <= Int64(XENTK_SEGMENTS))
        var next: Int64 = 0
        for segment in 0..<plan.segments {
          let (first, last) = plan.rows(of: segment)
          #expect(first == next && last > first)
          next = last
        }
        #expect(next == rows)
      }
    }
  }

  @Test func everyOperationHasAKernelAtEveryLevel() {
    let levels: [CPULevel] = CPULevel.current == .baseline ? [.baseline] : [.baseline, .v3, .v4]
    for level in levels {
      for operation in XENTK_SOFTMAX...XENTK_CROSS_ENTROPY_GRAD {
        for dtype in [XENTK_F32, XENTK_F64] {
          #expect(level.kernel(xentk_operation(operation), xentk_dtype(dtype)) != nil)
        }
        #expect(level.kernel(xentk_operation(operation), 2) == nil)
      }
      #expect(level.kernel(99, 0) == nil)
    }
  }

  @Test func threadsGiveTheSameBits() {
    let rows = 600
    let classes = 700
    let logits = (0..<rows * classes).map { Float(($0 * 7919) % 1013) / 50 }
    let targets = (0..<rows).map { Int64($0 * 31 % classes) }
    var expected: [Float] = []
    for threads: Int32 in [1, 2, 3, 5, 16, 2, 1] {
      #expect(xent_set_num_threads(threads) == XENT_OK)
      #expect(xent_get_num_threads() == threads)
      for _ in 0..<5 {
        var grad = [Float](repeating: 0, count: rows * classes + 1)
        let loss = UnsafeMutablePointer<Float>.allocate(capacity: 1)
        defer { loss.deallocate() }
        let status = xent_cross_entropy_grad_f32(
          logits, targets, Int64(rows), Int64(classes), nil, -100, Int32(XENT_REDUCTION_MEAN), loss, &grad)
        #expect(status == XENT_OK)
        grad[rows * classes] = loss.pointee
        if expected.isEmpty { expected = grad }
        #expect(grad == expected, "\(threads) threads")
      }
    }
    #expect(xent_set_num_threads(0) == XENT_OK)
  }

  @Test func numbersInTexts() {
    for number in [0, 7, 10, -1, 123_456, Int64.max, Int64.min] {
      let failure = Failure(XENT_ERR_OPTION) { $0.add(number) }
      #expect(failure.status == XENT_ERR_OPTION)
      #expect(String(cString: Detail.last) == String(number))
    }
    _ = Failure(XENT_ERR_OPTION) { text in for _ in 0..<100 { text.add("0123456789") } }
    #expect(String(cString: Detail.last).count == Int(XENTS_TEXT_SIZE) - 1)
  }

  @Test func environmentNumbers() {
    func number(_ text: String) -> Int64? { text.withCString { EnvironmentValue(text: $0).number(upTo: 1024) } }
    #expect(number("1") == 1 && number("1024") == 1024 && number("007") == 7)
    for text in ["", "0", "1025", "-1", "2x", " 2", "99999999999999999999"] { #expect(number(text) == nil, "\(text)") }
    "v3".withCString { text in
      #expect(EnvironmentValue(text: text).matches("v3"))
      #expect(!EnvironmentValue(text: text).matches("v4") && !EnvironmentValue(text: text).matches("v"))
      #expect(!EnvironmentValue(text: text).matches("v33"))
    }
  }
}

@Suite struct DoorTests {
  @Test func shapes() {
    let call = Call("f")
    #expect((try? call.shape(3, 5, of: Float.self))?.elements == 15)
    #expect((try? call.shape(0, .max, of: Float.self)) == nil)
    #expect((try? call.shape(0, .max, of: Float.self, perRow: false))?.elements == 0)
    for (rows, classes): (Int64, Int64) in [(-1, 3), (3, -1), (.max, 2), (1 << 32, 1 << 31), (.min, 1)] {
      #expect((try? call.shape(rows, classes, of: Double.self)) == nil)
    }
  }

  @Test func overlap() {
    let room = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    defer { room.deallocate() }
    func array(_ first: Int, _ bytes: Int) -> Xent.Array { .init(name: "a", start: room + first, bytes: bytes) }
    #expect(array(0, 8).overlaps(array(4, 8)) && array(4, 8).overlaps(array(0, 8)))
    #expect(!array(0, 8).overlaps(array(8, 8)) && !array(8, 8).overlaps(array(0, 8)))
    #expect(!array(0, 0).overlaps(array(0, 8)) && array(0, 8).overlaps(array(0, 8)))
    #expect(!Xent.Array(name: "n", start: nil, bytes: 0).overlaps(array(0, 8)))
    #expect(array(0, 8).isSame(as: array(0, 8)) && !array(0, 8).isSame(as: array(0, 16)))
  }

  @Test func workedExample() {
    let logits: [Float] = [1, 2, 7, 4, 7, 9, 8, 3, 4]
    let targets: [Int64] = [2, 2, 0]
    var loss: Float = 0
    #expect(xent_cross_entropy_f32(logits, targets, 3, 3, nil, -100, Int32(XENT_REDUCTION_SUM), &loss) == XENT_OK)
    #expect(abs(loss - 0.1667646) < 1e-6)
  }
}
