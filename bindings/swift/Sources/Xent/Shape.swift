// SPDX-License-Identifier: Apache-2.0
import CXent

/// Contiguous (outer, classes, inner), in row-major order; a matrix of rows and classes has `inner` 1.
public struct Shape: Hashable, Sendable {
  public var outer, classes, inner: Int

  public init(rows: Int, classes: Int) { self.init(outer: rows, classes: classes, inner: 1) }

  /// A class axis in the middle, such as images of (N, C, H · W).
  public init(outer: Int, classes: Int, inner: Int) {
    (self.outer, self.classes, self.inner) = (outer, classes, inner)
  }

  public var rows: Int { Self.product(outer, inner) }
  public var count: Int { Self.product(rows, classes) }

  /// What no array has, where it overflows or is negative.
  private static func product(_ a: Int, _ b: Int) -> Int {
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow || a < 0 || b < 0 ? Int.max : product
  }

  static var scalar: Shape { Shape(rows: 1, classes: 1) }
  var perRow: Shape { with(1) }
  var perClass: Shape { Shape(rows: 1, classes: classes) }
  func with(_ classes: Int) -> Shape { Shape(outer: outer, classes: classes, inner: inner) }

  /// A view of memory that has this shape's length: the library cannot know it.
  func view(
    _ name: StaticString, _ data: UnsafeRawPointer?, count: Int, dtype: Int32
  ) throws(XentError) -> xent_tensor {
    guard count == self.count else {
      throw .size("\(name) has \(count) elements, not \(outer) * \(classes) * \(inner)")
    }
    let (outer, classes, inner) = (Int64(outer), Int64(classes), Int64(inner))
    return xent_tensor(
      struct_size: MemoryLayout<xent_tensor>.size, data: UnsafeMutableRawPointer(mutating: data), dtype: dtype,
      reserved: 0, outer: outer, classes: classes, inner: inner,
      outer_stride: classes &* inner, class_stride: inner, inner_stride: 1)
  }
}
