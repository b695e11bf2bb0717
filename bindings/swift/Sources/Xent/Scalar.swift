// SPDX-License-Identifier: Apache-2.0
import CXent

/// What logits can be: `Float`, `Double`, `Float16` or `BFloat16`.
public protocol XentScalar: BitwiseCopyable, Sendable {
  /// That of losses, statistics and weights: `Double` for `Double`, otherwise `Float`.
  associatedtype Real: XentScalar & BinaryFloatingPoint & Sendable
  /// A value of `xent_dtype`.
  static var xentDType: Int32 { get }
  static var zero: Self { get }
}

extension Float: XentScalar {
  public typealias Real = Float
  public static var xentDType: Int32 { Int32(XENT_F32) }
}

extension Double: XentScalar {
  public typealias Real = Double
  public static var xentDType: Int32 { Int32(XENT_F64) }
}

#if !(os(macOS) && arch(x86_64))
  extension Float16: XentScalar {
    public typealias Real = Float
    public static var xentDType: Int32 { Int32(XENT_F16) }
  }
#endif

/// The bits of a bfloat16 number, the upper half of a `Float`; Swift has no such type of its own.
public struct BFloat16: XentScalar, Hashable, BitwiseCopyable {
  public typealias Real = Float
  public static var xentDType: Int32 { Int32(XENT_BF16) }
  public static var zero: Self { BFloat16(bitPattern: 0) }

  public var bitPattern: UInt16

  public init(bitPattern: UInt16) { self.bitPattern = bitPattern }
}

extension Float {
  /// Exact: every bfloat16 is a `Float`.
  public init(_ value: BFloat16) { self.init(bitPattern: UInt32(value.bitPattern) << 16) }
}

/// An integer that targets and masks can be.
public protocol XentIndex: FixedWidthInteger, BitwiseCopyable, Sendable {}

extension Int: XentIndex {}
extension Int8: XentIndex {}
extension Int16: XentIndex {}
extension Int32: XentIndex {}
extension Int64: XentIndex {}
extension UInt: XentIndex {}
extension UInt8: XentIndex {}
extension UInt16: XentIndex {}
extension UInt32: XentIndex {}
extension UInt64: XentIndex {}

extension XentIndex {
  static var xentDType: Int32 {
    let base = isSigned ? XENT_I8 : XENT_U8  // and 16, 32 and 64 bits follow
    return Int32(base) + Int32(bitWidth.trailingZeroBitCount - 3)
  }
}
