import CXentSystem
import XentCore
import XentKernels

#if arch(x86_64)
  import XentKernelsV3
  import XentKernelsV4
#endif

/// The instruction sets that the kernels are compiled for, least first.
public enum CPULevel: Int64, Sendable {
  case baseline = 1
  case v3 = 3
  case v4 = 4

  public var name: StaticString {
    switch self {
    case .baseline: "baseline"
    case .v3: "v3"
    case .v4: "v4"
    }
  }

  /// What the processor has, lowered by XENT_CPU_LEVEL; asked once.
  public static var current: CPULevel {
    let cached = xents_load(&xents_state().pointee.cpu_level)
    if let level = CPULevel(rawValue: cached) { return level }
    let level = detect()
    xents_store(&xents_state().pointee.cpu_level, level.rawValue)
    return level
  }

  private static func detect() -> CPULevel {
    let available = CPULevel(rawValue: Int64(xents_cpu_level())) ?? .baseline
    guard let wanted = environment("XENT_CPU_LEVEL") else { return available }
    for level in [CPULevel.baseline, .v3, .v4] where level.rawValue < available.rawValue && wanted.matches(level.name) {
      return level
    }
    return available
  }

  /// The level's kernel for an operation, or that of the level below where it has none of its own.
  func kernel(_ operation: xentk_operation) -> xentk_kernel? {
    switch self {
    #if arch(x86_64)
      case .v4: xentk_kernel_v4(operation) ?? xentk_kernel_v3(operation)
      case .v3: xentk_kernel_v3(operation)
    #endif
    default: xentk_kernel_baseline(operation)
    }
  }
}

/// The value of an environment variable.
struct EnvironmentValue {
  let text: UnsafePointer<CChar>

  func matches(_ word: StaticString) -> Bool {
    word.withUTF8Buffer { bytes in
      var i = 0
      while i < bytes.count {
        if UInt8(bitPattern: text[i]) != bytes[i] { return false }
        i += 1
      }
      return text[i] == 0
    }
  }

  /// A decimal number in 1…limit, nil for any other text.
  func number(upTo limit: Int64) -> Int64? {
    var value: Int64 = 0
    var i = 0
    while text[i] != 0 {
      guard text[i] >= 48, text[i] <= 57, value <= limit else { return nil }
      value = value * 10 + Int64(text[i] - 48)
      i += 1
    }
    return value >= 1 && value <= limit ? value : nil
  }
}

func environment(_ name: StaticString) -> EnvironmentValue? {
  let name = UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
  guard let text = xents_environment(name) else { return nil }
  return EnvironmentValue(text: text)
}
