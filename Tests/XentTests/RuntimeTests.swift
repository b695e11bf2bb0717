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
        problem.operation = xentk_operation(XENTK_ROWS)
        problem.rows = rows
        problem.classes = classes
        let plan = Plan(&problem)
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
      for operation in XENTK_ROWS...XENTK_DIVERGENCE {
        #expect(level.kernel(xentk_operation(operation)) != nil)
      }
      #expect(level.kernel(99) == nil)
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
      for _ in 0..<2 {
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

  /// Rows too few for the threads are shared piece by piece: the same bits, also in place and for one that is ignored.
  @Test func aSharedRowHasTheSameBits() {
    let classes = 2 * 16 * Int(XENTK_CHUNK) + 3001
    for rows in [1, 3] {
      let logits = (0..<rows * classes).map { Float(($0 * 7919) % 10007) / 700 }
      let targets: [Int64] = [Int64(classes - 1), -100, 40000]
      var expected: [[Float]] = []
      for threads: Int32 in [1, 2, 5] {
        #expect(xent_set_num_threads(threads) == XENT_OK)
        var loss = [Float](repeating: -1, count: rows)
        var lse = loss
        var grad = logits
        var probs = logits
        var logProbs = [Float](repeating: -1, count: rows * classes)
        let (r, c) = (Int64(rows), Int64(classes))
        let none = Int32(XENT_REDUCTION_NONE)
        #expect(xent_cross_entropy_f32(logits, targets, r, c, nil, -100, none, &loss) == XENT_OK)
        grad.withUnsafeMutableBufferPointer { grad in
          let start = grad.baseAddress
          #expect(xent_cross_entropy_grad_f32(start, targets, r, c, nil, -100, none, nil, start) == XENT_OK)
        }
        probs.withUnsafeMutableBufferPointer {
          #expect(xent_softmax_f32($0.baseAddress, r, c, $0.baseAddress) == XENT_OK)
        }
        #expect(xent_log_softmax_f32(logits, r, c, &logProbs) == XENT_OK)
        #expect(xent_logsumexp_f32(logits, r, c, &lse) == XENT_OK)
        let outputs = [loss, lse, grad, probs, logProbs]
        if expected.isEmpty { expected = outputs }
        #expect(outputs == expected, "\(threads) threads")
      }
    }
    #expect(xent_set_num_threads(0) == XENT_OK)
  }

  @Test func numbersInTexts() {
    for number in [0, 7, 10, -1, 123_456, Int64.max, Int64.min] {
      let failure = Failure(XENT_ERR_OPTION, in: "f") { $0.add(number) }
      #expect(failure.status == XENT_ERR_OPTION)
      #expect(String(cString: Detail.last) == "f: \(number)")
    }
    let decimals: [(Double, String)] = [
      (0, "0"), (-1.5, "-1.5"), (0.1, "0.1"), (123456, "123456"), (1e300, "1e300"), (2.5e-9, "2.5e-9"),
      (.infinity, "inf"), (-.infinity, "-inf"), (.nan, "NaN"), (1.000001, "1.000001"),
    ]
    for (number, text) in decimals {
      _ = Failure(XENT_ERR_OPTION, in: "f") { $0.add(number) }
      #expect(String(cString: Detail.last) == "f: \(text)")
    }
    _ = Failure(XENT_ERR_OPTION, in: "f") { text in for _ in 0..<100 { text.add("0123456789") } }
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
    func isFine(_ rows: Int64, _ classes: Int64, _ dtype: Int, perRow: Bool = true) -> Bool {
      let status = door("f", XENTK_ROWS) { call throws(Failure) in
        try call.shape(rows, classes, dtype, perRow: perRow)
        #expect(call.problem.pointee.rows == rows && call.problem.pointee.classes == classes)
      }
      return status == XENT_OK
    }
    #expect(isFine(3, 5, XENT_F32))
    #expect(!isFine(0, .max, XENT_F32) && isFine(0, .max, XENT_F32, perRow: false))
    for (rows, classes): (Int64, Int64) in [(-1, 3), (3, -1), (.max, 2), (1 << 32, 1 << 31), (.min, 1)] {
      #expect(!isFine(rows, classes, XENT_F64))
    }
  }

  @Test func overlap() {
    #expect(MemoryLayout<Extent>.stride <= Int(XENTK_EXTENT))
    let room = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    defer { room.deallocate() }
    func bytes(_ first: Int, _ count: Int64) -> Extent {
      var array = xentk_array()
      array.data = room + first
      (array.size, array.class_stride, array.classes) = (1, 1, count)
      return Extent(&array, 1, 1)
    }
    #expect(bytes(0, 8).touches(bytes(4, 8)) && bytes(4, 8).touches(bytes(0, 8)))
    #expect(!bytes(0, 8).touches(bytes(8, 8)) && !bytes(8, 8).touches(bytes(0, 8)))
    #expect(!bytes(0, 0).touches(bytes(0, 8)) && bytes(0, 8).touches(bytes(0, 8)))
    // Columns of one array: apart where they are, whatever the order and the direction of the rows.
    func columns(_ first: Int, _ count: Int64, stride: Int64 = 4) -> Extent {
      var array = xentk_array()
      array.data = room + 4 * first + (stride < 0 ? 48 : 0)
      (array.size, array.outer_stride, array.class_stride, array.classes) = (4, stride, 1, count)
      return Extent(&array, 4, 1)
    }
    #expect(!columns(0, 2).touches(columns(2, 2)) && !columns(2, 2).touches(columns(0, 2)))
    #expect(columns(0, 3).touches(columns(2, 2)) && columns(2, 2).touches(columns(0, 3)))
    #expect(!columns(0, 2, stride: -4).touches(columns(2, 2)) && columns(1, 2, stride: -4).touches(columns(2, 2)))
    #expect(columns(0, 4).touches(columns(0, 4)) && columns(0, 2, stride: 3).touches(columns(2, 2)))
  }

  @Test func workedExample() {
    let logits: [Float] = [1, 2, 7, 4, 7, 9, 8, 3, 4]
    let targets: [Int64] = [2, 2, 0]
    var loss: Float = 0
    #expect(xent_cross_entropy_f32(logits, targets, 3, 3, nil, -100, Int32(XENT_REDUCTION_SUM), &loss) == XENT_OK)
    #expect(abs(loss - 0.1667646) < 1e-6)
  }
}
