import CXentSystem

/// The library's threads. One call at a time owns them; a call that finds them owned runs in its own thread.
///
/// A job's segments are handed out by one word, the ticket: (round, seats, segments left). A thread claims a segment by
/// a compare-and-swap that takes one off; only then does it read the job, which stays until its claim is finished. So
/// nobody waits for a worker that has not claimed anything, and a worker that comes late finds nothing left and the job
/// untouched.
enum Pool {
  private static let seat: Int64 = 1 << 16
  private static let leftMask: Int64 = 0xFFFF
  private static let roundShift: Int64 = 32
  /// The work for which a sleeping worker is woken, and how much is done without it before it is woken for less: in elements of f32, a
  /// row being 32 more and an element of f64 or of the binary loss four. From 80 microseconds on it pays where a worker sleeps
  /// elsewhere, also on a noisy machine; on the caller's core it takes 8 of 150, for nothing.
  private static let elsewhere: (worth: Int64, before: Int64) = (1 << 19, 1 << 20)
  /// Without AVX-512 it takes two to four times as long, but waking does not.
  private static let elsewhereOfSlow: (worth: Int64, before: Int64) = (1 << 18, 1 << 19)
  private static let here: (worth: Int64, before: Int64) = (1 << 20, 1 << 24)
  /// So many nanoseconds after it went to sleep elsewhere the system still wakes it there, and soon: a processor that idles for longer
  /// sleeps too, and a virtual one is then taken for one that is busy. Measured (two processors of a Zen 3): calls of 90 to 260
  /// microseconds, 60 or 300 after each other, 1.1 to 1.7 times as fast.
  private static let justNow: Int64 = 400_000

  /// Runs a job on as many threads as are set; false if the caller has to run it alone.
  static func run(_ job: UnsafePointer<Job>) -> Bool {
    let threads = Threads.number(for: job.pointee.problem)
    guard threads > 1, acquire() else { return false }
    defer { release() }
    guard let pool = prepared(workers: min(threads, job.pointee.plan.segments) - 1), pool.pointee.workers > 0 else {
      return false
    }
    if isBetterAlone(job.pointee.problem, pool) { return false }
    share(job, pool, seats: threads - 1)
    return true
  }

  /// Whether the only worker would have to be woken for little. One that went to sleep on the caller's core the system mostly wakes
  /// there, where it takes the caller's time. After many such calls it is woken all the same, and looks for a while wherever it is: for
  /// calls that follow each other, as the system moves one of two threads that both have something to do.
  private static func isBetterAlone(
    _ problem: UnsafePointer<xentk_problem>, _ pool: UnsafeMutablePointer<xents_pool>
  ) -> Bool {
    let asleep = xents_load(&pool.pointee.asleep)
    guard pool.pointee.workers == 1, asleep > 0 else { return false }
    let isHere = asleep == xents_core() + 1
    let isSlow = CPULevel.current != .v4 && !isHere
    let (worth, before) = isHere ? here : isSlow ? elsewhereOfSlow : elsewhere
    let operation = Int(problem.pointee.operation)
    let isLong = problem.pointee.is_wide != 0 || operation == XENTK_BINARY || operation == XENTK_DIVERGENCE
    let work = (problem.pointee.rows &* (problem.pointee.classes &+ 32)) &<< (isLong ? 2 : 0)
    guard work < worth, pool.pointee.skipped < before else { return false }
    if isSlow && work >= worth / 2 && xents_nanoseconds() &- xents_load(&pool.pointee.slept) < justNow { return false }
    pool.pointee.skipped = pool.pointee.skipped &+ work
    return true
  }

  /// Whether a call that might be cut in more than its rows is not to be, as `run` would leave it to the caller.
  static func isBetterAlone(_ problem: UnsafePointer<xentk_problem>) -> Bool {
    guard acquire() else { return true }
    defer { release() }
    guard let pool = xents_state().pointee.pool else { return false }
    return isBetterAlone(problem, pool)
  }

  /// Makes sure of `threads` threads now; false if there is no memory for them.
  static func prepare(threads: Int64) -> Bool {
    guard threads > 1 else { return true }
    while !acquire() { sched_yield() }
    defer { release() }
    guard let pool = prepared(workers: threads - 1) else { return false }
    return pool.pointee.workers >= threads - 1
  }

  private static func acquire() -> Bool { xents_exchange(&xents_state().pointee.owner, 0, 1) != 0 }
  private static func release() { xents_store(&xents_state().pointee.owner, 0) }

  /// The pool, with `workers` workers or as many as can be had.
  private static func prepared(workers: Int64) -> UnsafeMutablePointer<xents_pool>? {
    let shared = xents_state()
    if shared.pointee.pool == nil { shared.pointee.pool = xents_pool_create() }
    guard let pool = shared.pointee.pool else { return nil }
    while pool.pointee.workers < workers {
      guard
        xents_spawn(
          {
            Pool.work(for: $0)
            return nil
          }, pool) == 0
      else { break }
      // Not +=: that is an access to all of the pool for ThreadSanitizer, while a worker looks at its ticket.
      pool.pointee.workers = pool.pointee.workers + 1
    }
    return pool
  }

  private static func share(_ job: UnsafePointer<Job>, _ pool: UnsafeMutablePointer<xents_pool>, seats: Int64) {
    // No worker holds a claim here: the last owner waited for all of them. So the job's words are this thread's.
    pool.pointee.job = UnsafeRawPointer(job)
    pool.pointee.segments = job.pointee.plan.segments
    xents_store(&pool.pointee.finished, 0)
    xents_store(&pool.pointee.core, pool.pointee.skipped >= here.before ? -1 : xents_core())
    pthread_mutex_lock(&pool.pointee.mutex)
    let round = (pool.pointee.round + 1) & 0x7FFF_FFFF
    xents_store(&pool.pointee.ticket, round << roundShift | seats * seat | job.pointee.plan.segments)
    xents_store(&pool.pointee.round, round)
    xents_store(&pool.pointee.asleep, 0)
    pool.pointee.skipped = 0
    pthread_cond_broadcast(&pool.pointee.changed)
    pthread_mutex_unlock(&pool.pointee.mutex)
    takeSegments(pool, round: round, isWorker: false)
    var looks = 0
    while xents_load(&pool.pointee.finished) < pool.pointee.segments {
      looks += 1
      if looks < 1000 { xents_pause() } else { sched_yield() }
    }
  }

  /// A worker's life.
  private static func work(for pool: UnsafeMutableRawPointer?) {
    let pool = pool.unsafelyUnwrapped.assumingMemoryBound(to: xents_pool.self)
    _ = xents_enter()  // a thread is born with the floating-point settings of the one that makes it
    var round: Int64 = 0
    while true {
      round = nextRound(pool, after: round)
      takeSegments(pool, round: round, isWorker: true)
    }
  }

  /// Looks for a while, since calls often follow each other, then sleeps. At once on the caller's core, where the system at times
  /// wakes a worker although there are idle ones: the caller would wait for the end of the looking.
  private static func nextRound(_ pool: UnsafeMutablePointer<xents_pool>, after round: Int64) -> Int64 {
    let core = xents_core()
    let isCallers = core >= 0 && core == xents_load(&pool.pointee.core)
    for _ in 0..<(isCallers ? 0 : 2000) {
      let next = xents_load(&pool.pointee.round)
      if next != round { return next }
      xents_pause()
    }
    pthread_mutex_lock(&pool.pointee.mutex)
    if xents_load(&pool.pointee.round) == round {
      xents_store(&pool.pointee.slept, xents_nanoseconds())
      xents_store(&pool.pointee.asleep, xents_core() + 1)
    }
    while xents_load(&pool.pointee.round) == round { pthread_cond_wait(&pool.pointee.changed, &pool.pointee.mutex) }
    let next = xents_load(&pool.pointee.round)
    pthread_mutex_unlock(&pool.pointee.mutex)
    return next
  }

  /// A thread's part in a round.
  private struct Part {
    let pool: UnsafeMutablePointer<xents_pool>
    let round: Int64
    let isWorker: Bool
  }

  @inline(never) private static func takeSegments(
    _ pool: UnsafeMutablePointer<xents_pool>, round: Int64, isWorker: Bool
  ) {
    var part = Part(pool: pool, round: round, isWorker: isWorker)
    xentk_with_workspace(
      { workspace, part in Pool.takeSegments(part.assumingMemoryBound(to: Part.self).pointee, workspace) }, &part)
  }

  private static func takeSegments(_ part: Part, _ workspace: UnsafeMutablePointer<xentk_workspace>) {
    let pool = part.pool
    var seated = !part.isWorker
    while true {
      let ticket = xents_load(&pool.pointee.ticket)
      let left = ticket & leftMask
      guard ticket >> roundShift == part.round, left > 0 else { return }
      var next = ticket - 1
      if !seated {
        guard (ticket >> 16) & 0xFFFF > 0 else { return }
        next -= seat
      }
      guard xents_exchange(&pool.pointee.ticket, ticket, next) != 0 else { continue }
      seated = true
      let job = pool.pointee.job.unsafelyUnwrapped.assumingMemoryBound(to: Job.self)
      job.pointee.run(segment: pool.pointee.segments - left, workspace)
      _ = xents_add(&pool.pointee.finished, 1)
    }
  }
}
