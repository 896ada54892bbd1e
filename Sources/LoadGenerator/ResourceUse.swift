#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What this process and the machine have used of their processors up to now.
public struct ResourceUse: Sendable {
  /// What was used between two readings.
  public struct Difference: Sendable {
    /// Of this process, in seconds.
    public var userSeconds = 0.0
    public var systemSeconds = 0.0
    public var voluntarySwitches: UInt64 = 0
    public var involuntarySwitches: UInt64 = 0
    /// Of all processes and interrupts of the machine, in seconds of one processor.
    public var machineBusySeconds = 0.0
    /// The part of it spent in soft interrupts, as far as the kernel accounts for them.
    public var machineSoftIRQSeconds = 0.0

    /// The threads of one process read the same counters at about the same time: the largest is the whole.
    mutating func merge(_ other: Difference) {
      if other.userSeconds + other.systemSeconds > userSeconds + systemSeconds { self = other }
    }
  }

  private var usage = rusage()
  private var busy = 0.0
  private var softIRQ = 0.0

  public init() {
    getrusage(RUSAGE_SELF.rawValue, &usage)
    readMachine()
  }

  public func difference(from earlier: ResourceUse) -> Difference {
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    return Difference(
      userSeconds: seconds(usage.ru_utime) - seconds(earlier.usage.ru_utime),
      systemSeconds: seconds(usage.ru_stime) - seconds(earlier.usage.ru_stime),
      voluntarySwitches: UInt64(max(0, usage.ru_nvcsw - earlier.usage.ru_nvcsw)),
      involuntarySwitches: UInt64(max(0, usage.ru_nivcsw - earlier.usage.ru_nivcsw)),
      machineBusySeconds: busy - earlier.busy, machineSoftIRQSeconds: softIRQ - earlier.softIRQ)
  }

  /// /proc/stat, proc(5): busy is the time that passed on all processors less idle and iowait, which the kernel accounts
  /// exactly, while the other fields are sampled by its tick.
  private mutating func readMachine() {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let elapsed = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    guard let file = fopen("/proc/stat", "re") else { return }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 512)
    var processors = 0.0
    var idle = 0.0
    let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix("cpu") else { break }
      let fields = text.split(separator: " ").dropFirst().compactMap { Double($0) }
      guard fields.count >= 7 else { continue }
      if text.hasPrefix("cpu ") {
        idle = (fields[3] + fields[4]) / ticks
        softIRQ = fields[6] / ticks
      } else {
        processors += 1
      }
    }
    busy = elapsed * processors - idle
  }
}
