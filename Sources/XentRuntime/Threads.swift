import CXentSystem

/// How many threads a call may use, its own included.
public enum Threads {
  public static let limit: Int64 = 1024

  public static var current: Int64 {
    let set = xents_load(&xents_state().pointee.threads)
    return set > 0 ? set : automatic
  }

  /// For one call.
  static func number(for problem: UnsafePointer<xentk_problem>) -> Int64 {
    let limit = Int64(problem.pointee.threads)
    return limit > 0 ? limit : current
  }

  /// XENT_NUM_THREADS, or the processors this process may run on; asked once.
  private static var automatic: Int64 {
    let cached = xents_load(&xents_state().pointee.automatic_threads)
    if cached > 0 { return cached }
    let number = environment("XENT_NUM_THREADS")?.number(upTo: limit) ?? min(limit, max(1, Int64(xents_cpu_count())))
    xents_store(&xents_state().pointee.automatic_threads, number)
    return number
  }

  /// Sets the number, 0 for automatic; false, and nothing changed, if there is no memory for so many.
  public static func set(_ number: Int64) -> Bool {
    guard Pool.prepare(threads: number > 0 ? number : automatic) else { return false }
    xents_store(&xents_state().pointee.threads, number)
    return true
  }
}

@implementation @_cdecl("xents_state")
public func xents_state() -> UnsafeMutablePointer<xents_shared> { xents_state_storage() }
