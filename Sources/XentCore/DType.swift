import CXentSystem

/// An element type of the ABI.
public protocol DType {
  static var dtype: xentk_dtype { get }
  var asDouble: Double { get }
  init(rounding value: Double)
}

extension Float: DType {
  public static var dtype: xentk_dtype { xentk_dtype(XENTK_F32) }
  public var asDouble: Double { Double(self) }
  public init(rounding value: Double) { self = Float(value) }
}

extension Double: DType {
  public static var dtype: xentk_dtype { xentk_dtype(XENTK_F64) }
  public var asDouble: Double { self }
  public init(rounding value: Double) { self = value }
}
