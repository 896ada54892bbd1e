import Glibc
import Threads

/// A few threads for work that blocks (executing a plugin, killing a cgroup), so that it neither starves Swift's
/// cooperative pool nor takes a thread for each pod.
final class BlockingPool: Sendable {
  private let jobs: JobQueue

  init(threads: Int) {
    jobs = JobQueue()
    for _ in 0..<threads {
      DetachedThread.tryStart(stackSize: 512 << 10) { [jobs] in
        while let job = jobs.next() { job() }
      }
    }
  }

  deinit { jobs.close() }

  func run<Value: Sendable, Failure: Error>(
    _ body: @escaping @Sendable () throws(Failure) -> Value
  ) async throws(Failure) -> Value {
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<Value, Failure>, Never>) in
      jobs.add {
        let result = Result { () throws(Failure) in try body() }
        continuation.resume(returning: result)
      }
    }
    return try result.get()
  }
}

// Sendable by its lock: every access to `waiting` and `closed` happens while holding it.
private final class JobQueue: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var waiting: [@Sendable () -> Void] = []
  private var first = 0
  private var closed = false

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    pthread_cond_destroy(condition)
    mutex.deallocate()
    condition.deallocate()
  }

  func add(_ job: @escaping @Sendable () -> Void) {
    pthread_mutex_lock(mutex)
    waiting.append(job)
    pthread_mutex_unlock(mutex)
    pthread_cond_signal(condition)
  }

  func close() {
    pthread_mutex_lock(mutex)
    closed = true
    pthread_mutex_unlock(mutex)
    pthread_cond_broadcast(condition)
  }

  /// Blocks until there is a job; nil once the queue is closed and empty.
  func next() -> (@Sendable () -> Void)? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while first == waiting.count {
      if closed { return nil }
      pthread_cond_wait(condition, mutex)
    }
    defer {
      first += 1
      if first == waiting.count {
        waiting.removeAll(keepingCapacity: true)
        first = 0
      }
    }
    return waiting[first]
  }
}
