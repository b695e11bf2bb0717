import CXent
import CXentSystem

/// Why a call cannot be done: its status. The detail is in the thread's text by the time this exists.
public struct Failure: Error {
  public let status: xent_status
  /// The row that is wrong, −1 if it is not a matter of one row, and the value, where it is a whole number.
  public var row: Int64 = -1
  public var value: Int64 = 0

  /// Composes the thread's text: the function's name and what is wrong.
  public init(_ status: Int, in function: UnsafePointer<CChar>, _ compose: (inout Detail) -> Void) {
    self.status = xent_status(status)
    var detail = Detail()
    detail.add(function)
    detail.add(": ")
    compose(&detail)
    detail.end()
  }
}

@implementation @_cdecl("xents_text")
public func xents_text() -> UnsafeMutablePointer<CChar> { xents_text_storage() }

extension StaticString {
  /// A literal ends with a zero byte.
  public var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}

/// The text of the calling thread's last error, as it is written. What does not fit is cut off.
public struct Detail {
  private let text = xents_text()
  private var length = 0

  /// The calling thread's text, "" before its first error.
  public static var last: UnsafePointer<CChar> { UnsafePointer(xents_text()) }

  public mutating func add(_ words: UnsafePointer<CChar>) {
    var i = 0
    while words[i] != 0 {
      add(byte: UInt8(bitPattern: words[i]))
      i += 1
    }
  }

  public mutating func add(_ words: StaticString) {
    for i in 0..<words.utf8CodeUnitCount { add(byte: words.utf8Start[i]) }
  }

  public mutating func add(_ number: Int64) {
    if number < 0 { add(byte: UInt8(ascii: "-")) }
    add(number.magnitude)
  }

  public mutating func add(_ magnitude: UInt64) {
    var divisor: UInt64 = 1
    while magnitude / divisor >= 10 { divisor *= 10 }
    while divisor > 0 {
      add(byte: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: magnitude / divisor % 10))
      divisor /= 10
    }
  }

  /// To six digits behind the point, of the number or of its mantissa.
  public mutating func add(_ number: Double) {
    if number.isNaN { return add("NaN") }
    if number < 0 { add(byte: UInt8(ascii: "-")) }
    var rest = number.magnitude
    if rest == .infinity { return add("inf") }
    var exponent: Int64 = 0
    if rest != 0 && !(rest >= 1e-4 && rest < 1e6) {
      while rest >= 10 {
        rest /= 10
        exponent += 1
      }
      while rest < 1 {
        rest *= 10
        exponent -= 1
      }
    }
    var digits = Int64((rest * 1e6).rounded(.toNearestOrEven))
    add(digits / 1_000_000)
    digits %= 1_000_000
    if digits > 0 {
      add(byte: UInt8(ascii: "."))
      var unit: Int64 = 100_000
      while digits > 0 {
        add(digits / unit)
        digits %= unit
        unit /= 10
      }
    }
    if exponent != 0 {
      add("e")
      add(exponent)
    }
  }

  public mutating func add(byte: UInt8) {
    guard length < Int(XENTS_TEXT_SIZE) - 1 else { return }
    text[length] = CChar(bitPattern: byte)
    length += 1
  }

  fileprivate mutating func end() { text[length] = 0 }
}
