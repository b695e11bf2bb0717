import CXent
import CXentSystem

/// Why a call cannot be done: its status. The detail is in the thread's text by the time this exists.
public struct Failure: Error {
  public let status: xent_status

  /// Composes the thread's text.
  public init(_ status: Int, _ compose: (inout Detail) -> Void) {
    self.status = xent_status(status)
    var detail = Detail()
    compose(&detail)
    detail.end()
  }
}

@implementation @_cdecl("xents_text")
public func xents_text() -> UnsafeMutablePointer<CChar> { xents_text_storage() }

/// The text of the calling thread's last error, as it is written. What does not fit is cut off.
public struct Detail {
  private let text = xents_text()
  private var length = 0

  /// The calling thread's text, "" before its first error.
  public static var last: UnsafePointer<CChar> { UnsafePointer(xents_text()) }

  public mutating func add(_ words: StaticString) {
    for i in 0..<words.utf8CodeUnitCount { add(byte: words.utf8Start[i]) }
  }

  public mutating func add(_ number: Int64) {
    if number < 0 { add(byte: UInt8(ascii: "-")) }
    var divisor: UInt64 = 1
    let magnitude = number.magnitude
    while magnitude / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      add(byte: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude / divisor % 10))
      divisor /= 10
    }
  }

  private mutating func add(byte: UInt8) {
    guard length < Int(XENTS_TEXT_SIZE) - 1 else { return }
    text[length] = CChar(bitPattern: byte)
    length += 1
  }

  fileprivate mutating func end() { text[length] = 0 }
}
