import CXentSystem
import XentCore

/// A planned problem, as the threads share it.
struct Job {
  let problem: UnsafePointer<xentk_problem>
  let kernel: xentk_kernel
  let plan: Plan
  let losses: UnsafeMutablePointer<xentk_loss>

  func run(segment: Int64, _ workspace: UnsafeMutablePointer<xentk_workspace>) {
    let (first, last) = plan.rows(of: segment)
    kernel(problem, first, last, workspace, losses + Int(segment))
  }
}

/// Runs a checked problem and gives the sum of its rows' losses, unrounded.
public func execute(_ problem: UnsafePointer<xentk_problem>) -> xentk_loss {
  guard problem.pointee.rows > 0, let kernel = CPULevel.current.kernel(problem.pointee.operation) else {
    return xentk_loss()
  }
  let plan = Plan(problem)
  var losses = xentk_losses()
  return withUnsafeMutablePointer(to: &losses) { losses in
    let losses = UnsafeMutableRawPointer(losses).assumingMemoryBound(to: xentk_loss.self)
    let job = Job(problem: problem, kernel: kernel, plan: plan, losses: losses)
    if !(plan.isLarge && Pool.run(job)) { runSerially(job) }
    var total = xentk_loss()
    for segment in 0..<Int(plan.segments) {
      let loss = losses[segment]
      xentk_add(&total.hi, &total.lo, loss.hi, loss.lo)
      xentk_add(&total.huge_hi, &total.huge_lo, loss.huge_hi, loss.huge_lo)
      xentk_add(&total.tiny_hi, &total.tiny_lo, loss.tiny_hi, loss.tiny_lo)
      total.correct += loss.correct
    }
    return total
  }
}

private func runSerially(_ job: Job) {
  var job = job
  xentk_with_workspace(
    { workspace, context in
      let job = context.assumingMemoryBound(to: Job.self)
      for segment in 0..<job.pointee.plan.segments { job.pointee.run(segment: segment, workspace) }
    }, &job)
}
