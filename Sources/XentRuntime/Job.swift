import CXentSystem
import XentCore

/// A planned problem, as the threads share it.
struct Job {
  let problem: UnsafePointer<xentk_problem>
  let kernel: xentk_kernel
  let plan: Plan
  var losses: UnsafeMutablePointer<xentk_loss>?

  func run(segment: Int64, _ workspace: UnsafeMutablePointer<xentk_workspace>) {
    let (first, last) = plan.rows(of: segment)
    kernel(problem, first, last, workspace, losses.unsafelyUnwrapped + Int(segment))
  }
}

/// A job and what it comes to.
private struct Run {
  var job: Job
  var total = xentk_loss()
}

/// Runs a checked problem and gives the sum of its rows' losses, unrounded.
public func execute(_ problem: UnsafePointer<xentk_problem>) -> xentk_loss {
  guard problem.pointee.rows > 0, let kernel = CPULevel.current.kernel(problem.pointee.operation) else {
    return xentk_loss()
  }
  let plan = Plan(problem)
  var run = Run(job: Job(problem: problem, kernel: kernel, plan: plan))
  xentk_with_losses(
    plan.segments,
    { losses, context in
      let run = context.assumingMemoryBound(to: Run.self)
      run.pointee.job.losses = losses
      let job = run.pointee.job
      if !(job.plan.isLarge && Pool.run(job)) { runSerially(job) }
      run.pointee.total = sum(losses, job.plan.segments)
    }, &run)
  return run.total
}

private func sum(_ losses: UnsafePointer<xentk_loss>, _ segments: Int64) -> xentk_loss {
  var total = losses[0]
  for segment in 1..<max(1, Int(segments)) {
    let loss = losses[segment]
    xentk_add(&total.hi, &total.lo, loss.hi, loss.lo)
    xentk_add(&total.huge_hi, &total.huge_lo, loss.huge_hi, loss.huge_lo)
    xentk_add(&total.tiny_hi, &total.tiny_lo, loss.tiny_hi, loss.tiny_lo)
    total.correct += loss.correct
  }
  return total
}

/// Out of line, as is the pool's part: the workspaces of both ways are not to be on the stack at once.
@inline(never) private func runSerially(_ job: Job) {
  var job = job
  xentk_with_workspace(
    { workspace, context in
      let job = context.assumingMemoryBound(to: Job.self)
      for segment in 0..<job.pointee.plan.segments { job.pointee.run(segment: segment, workspace) }
    }, &job)
}
