import CXentSystem
import XentCore

/// A planned problem, as the threads share it.
struct Job {
  let problem: UnsafeMutablePointer<xentk_problem>
  let kernel: xentk_kernel
  var plan: Plan
  /// One for each segment, or, for the pieces of a row, one for all.
  var losses: UnsafeMutablePointer<xentk_loss>?

  func run(segment: Int64, _ workspace: UnsafeMutablePointer<xentk_workspace>) {
    let (first, last) = plan.rows(of: segment)
    let isWhole = Int(problem.pointee.phase) == XENTK_WHOLE
    kernel(problem, first, last, workspace, losses.unsafelyUnwrapped + (isWhole ? Int(segment) : 0))
  }
}

/// A job and what it comes to.
private struct Run {
  var job: Job
  var total = xentk_loss()
}

/// Runs a checked problem and gives the sum of its rows' losses, unrounded.
@_optimize(speed) public func execute(_ problem: UnsafeMutablePointer<xentk_problem>) -> xentk_loss {
  guard problem.pointee.rows > 0, let kernel = CPULevel.current.kernel(problem.pointee.operation) else {
    return xentk_loss()
  }
  if let pieces = Pieces(problem), !Pool.isBetterAlone(problem) {
    if let total = runInPieces(problem, kernel, pieces) { return total }
  }
  var run = Run(job: Job(problem: problem, kernel: kernel, plan: Plan(problem)))
  if let pieces = Pieces(ofElements: problem) {
    problem.pointee.piece = pieces.classes
    problem.pointee.piece_count = pieces.count
    run.job.plan = Plan(pieces: problem.pointee.rows * pieces.count)
  }
  if run.job.plan.segments == 1 {
    runIntoTotal(&run)
    return run.total
  }
  runInSegments(&run)
  return run.total
}

/// Out of line: the losses' room is not to be on the stack while a row is worked on in pieces, which has its own.
@inline(never) private func runInSegments(_ run: inout Run) {
  xentk_with_losses(
    run.job.plan.segments,
    { losses, context in
      let run = context.assumingMemoryBound(to: Run.self)
      run.pointee.job.losses = losses
      if !Pool.run(&run.pointee.job) { runSerially(&run.pointee.job) }
      run.pointee.total = sum(losses, run.pointee.job.plan.segments)
    }, &run)
}

private func sum(_ losses: UnsafePointer<xentk_loss>, _ segments: Int64) -> xentk_loss {
  var total = losses[0]
  for segment in 1..<Int(segments) {
    let loss = losses[segment]
    xentk_add(&total.hi, &total.lo, loss.hi, loss.lo)
    xentk_add(&total.huge_hi, &total.huge_lo, loss.huge_hi, loss.huge_lo)
    xentk_add(&total.tiny_hi, &total.tiny_lo, loss.tiny_hi, loss.tiny_lo)
    total.correct += loss.correct
  }
  return total
}

/// Runs a call of few rows with threads sharing each of them; nil where the kernel cannot.
@inline(never) private func runInPieces(
  _ problem: UnsafeMutablePointer<xentk_problem>, _ kernel: xentk_kernel, _ pieces: Pieces
) -> xentk_loss? {
  var run = Run(job: Job(problem: problem, kernel: kernel, plan: Plan(pieces: 1)))
  problem.pointee.piece = pieces.classes
  problem.pointee.piece_count = pieces.count
  problem.pointee.phase = Int32(XENTK_ASK)
  runPhase(&run, segments: 1)
  guard run.total.correct != 0 else {
    problem.pointee.phase = Int32(XENTK_WHOLE)
    return nil
  }
  run.total = xentk_loss()
  xentk_with_losses(
    pieces.count,
    { places, context in
      let run = context.assumingMemoryBound(to: Run.self)
      let problem = run.pointee.job.problem
      problem.pointee.pieces = UnsafeMutableRawPointer(places)
      let hasMatrix =
        problem.pointee.grad.data != nil || problem.pointee.probs.data != nil || problem.pointee.log_probs.data != nil
      for row in 0..<problem.pointee.rows {
        problem.pointee.row = row
        problem.pointee.phase = Int32(XENTK_READ)
        runPhase(&run.pointee, segments: problem.pointee.piece_count)
        problem.pointee.phase = Int32(XENTK_WRITE)
        runPhase(&run.pointee, segments: hasMatrix ? problem.pointee.piece_count : 1)
      }
    }, &run)
  return run.total
}

@inline(never) private func runPhase(_ run: inout Run, segments: Int64) {
  run.job.plan = Plan(pieces: segments)
  runIntoTotal(&run)
}

/// Runs segments none of which has losses of its own.
private func runIntoTotal(_ run: inout Run) {
  withUnsafeMutablePointer(to: &run.total) { total in
    run.job.losses = total
    if !(run.job.plan.segments > 1 && Pool.run(&run.job)) { runSerially(&run.job) }
  }
}

/// Out of line, as is the pool's part: the workspaces of both ways are not to be on the stack at once.
@inline(never) private func runSerially(_ job: UnsafeMutablePointer<Job>) {
  xentk_with_workspace(
    { workspace, context in
      let job = context.assumingMemoryBound(to: Job.self)
      for segment in 0..<job.pointee.plan.segments { job.pointee.run(segment: segment, workspace) }
    }, job)
}
