// SPDX-License-Identifier: Apache-2.0

/// Contiguous memory to read: `[T]`, `ArraySlice`, `ContiguousArray`, `UnsafeBufferPointer` and `Span`. Nothing is copied.
public protocol XentBuffer<Element>: ~Escapable {
  associatedtype Element
  func withXentBuffer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(XentError) -> Result
  ) throws(XentError) -> Result
}

extension Array: XentBuffer {
  public func withXentBuffer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(XentError) -> Result
  ) throws(XentError) -> Result { try withUnsafeBufferPointer(body) }
}

extension ContiguousArray: XentBuffer {
  public func withXentBuffer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(XentError) -> Result
  ) throws(XentError) -> Result { try withUnsafeBufferPointer(body) }
}

extension ArraySlice: XentBuffer {
  public func withXentBuffer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(XentError) -> Result
  ) throws(XentError) -> Result { try withUnsafeBufferPointer(body) }
}

extension UnsafeBufferPointer: XentBuffer {
  public func withXentBuffer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(XentError) -> Result
  ) throws(XentError) -> Result { try body(self) }
}

extension UnsafeMutableBufferPointer: XentBuffer {
  public func withXentBuffer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(XentError) -> Result
  ) throws(XentError) -> Result { try body(UnsafeBufferPointer(self)) }
}

extension Span: XentBuffer {
  public func withXentBuffer<Result>(
    _ body: (UnsafeBufferPointer<Element>) throws(XentError) -> Result
  ) throws(XentError) -> Result { try withUnsafeBufferPointer(body) }
}
