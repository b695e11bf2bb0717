import CXentSystem
import XentCore

/// A planned problem, as the threads share it.
struct Job {
  let problem: UnsafePointer<xentk_problem>
  let kernel: xentk_kernel
  let plan: Plan
  let losses: UnsafeMutablePointer<xentk_loss>

  func run(segment: Int64, scratch: UnsafePointer<xentk_scratch>) {
    let (first, last) = plan.rows(of: segment)
    kernel(problem, first, last, scratch, losses + Int(segment))
  }
}

/// Runs a checked problem and gives the sum of its rows' losses, unrounded.
public func execute(_ problem: xentk_problem) -> xentk_loss {
  guard problem.rows > 0, let kernel = CPULevel.current.kernel(problem.operation, problem.dtype) else {
    return xentk_loss()
  }
  let plan = Plan(problem)
  var losses = xentk_losses()
  return withUnsafeMutablePointer(to: &losses) { losses in
    let losses = UnsafeMutableRawPointer(losses).assumingMemoryBound(to: xentk_loss.self)
    withUnsafePointer(to: problem) { problem in
      let job = Job(problem: problem, kernel: kernel, plan: plan, losses: losses)
      if !(plan.isLarge && Pool.run(job)) { runSerially(job) }
    }
    var total = xentk_loss()
    for segment in 0..<Int(plan.segments) {
      let loss = losses[segment]
      xentk_add(&total.hi, &total.lo, loss.hi, loss.lo)
      xentk_add(&total.huge_hi, &total.huge_lo, loss.huge_hi, loss.huge_lo)
      xentk_add(&total.tiny_hi, &total.tiny_lo, loss.tiny_hi, loss.tiny_lo)
    }
    return total
  }
}

private func runSerially(_ job: Job) {
  withScratch { scratch in
    for segment in 0..<job.plan.segments { job.run(segment: segment, scratch: scratch) }
  }
}

/// On the stack: with 1024 bytes at most and no more than the usual alignment nothing is asked of malloc, which may
/// fail.
func withScratch(_ body: (UnsafePointer<xentk_scratch>) -> Void) {
  withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { strip in
    withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { states in
      let scratch = xentk_scratch(
        strip: strip.baseAddress.unsafelyUnwrapped, states: states.baseAddress.unsafelyUnwrapped)
      withUnsafePointer(to: scratch, body)
    }
  }
}
