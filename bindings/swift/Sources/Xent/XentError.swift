// SPDX-License-Identifier: Apache-2.0
import CXent

/// Why a call was refused. Nothing has been written then.
public struct XentError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The statuses of `xent.h`.
  public enum Kind: Equatable, Sendable {
    case null, size, target, option, overlap, noMemory, dtype, unsupported
    /// A status of a newer library.
    case other(Int32)
  }

  public let kind: Kind
  /// The library's sentence, which names the argument: `xent_nll: targets[1] is 7, not in [0, 3) and ...`.
  public let message: String
  /// The row that is wrong, if it is a matter of one row.
  public let row: Int?
  /// The value that is wrong, where it is an integer; otherwise 0.
  public let value: Int64

  public var description: String { message }
}

extension XentError.Kind {
  init(_ status: xent_status) {
    let kinds: [Self] = [.null, .size, .target, .option, .overlap, .noMemory, .dtype, .unsupported]
    self = kinds.indices.contains(Int(status) - 1) ? kinds[Int(status) - 1] : .other(status)
  }
}

extension XentError {
  /// Of a length that is checked here, as the library sees no arrays.
  static func size(_ message: String) -> Self { XentError(kind: .size, message: message, row: nil, value: 0) }

  /// The gate that every descriptor call goes through.
  static func check(_ call: (UnsafeMutablePointer<xent_error>) -> xent_status) throws(XentError) {
    var detail = xent_error()
    detail.struct_size = MemoryLayout<xent_error>.size
    let status = call(&detail)
    guard status != XENT_OK else { return }
    let message = withUnsafeBytes(of: detail.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    throw XentError(
      kind: Kind(status), message: message, row: detail.row < 0 ? nil : Int(detail.row), value: detail.value)
  }
}
