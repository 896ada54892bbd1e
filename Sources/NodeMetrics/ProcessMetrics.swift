#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What the kernel says of this process (proc(5)), under the names that every exporter gives it.
public enum ProcessMetrics {
  public static func collect() -> [MetricFamily] {
    var families: [MetricFamily] = []
    // The name in parentheses may hold anything, so fields are counted from behind it: `state` is field 3.
    let fields = read("/proc/self/stat").split(separator: ")").last?.split(separator: " ").map(String.init) ?? []
    func field(_ number: Int) -> Double? { number - 3 < fields.count ? Double(fields[number - 3]) : nil }
    func add(_ name: String, _ kind: MetricFamily.Kind, _ help: String, _ value: Double?) {
      if let value { families.append(MetricFamily(name, kind, help, [.init(value)])) }
    }
    let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
    let page = Double(max(1, sysconf(Int32(_SC_PAGESIZE))))
    let cpu = field(14).flatMap { user in field(15).map { (user + $0) / ticks } }
    add("process_cpu_seconds_total", .counter, "User and system time spent, in seconds.", cpu)
    add("process_resident_memory_bytes", .gauge, "Memory in use, in bytes.", field(24).map { $0 * page })
    add("process_virtual_memory_bytes", .gauge, "Address space in use, in bytes.", field(23))
    add("process_threads", .gauge, "Threads.", field(20))
    let start = bootTime.flatMap { boot in field(22).map { boot + $0 / ticks } }
    add("process_start_time_seconds", .gauge, "Start of the process, in seconds since 1970.", start)
    add("process_open_fds", .gauge, "Open file descriptors.", openDescriptors.map(Double.init))
    return families
  }

  private static var bootTime: Double? {
    read("/proc/stat").split(separator: "\n").first { $0.hasPrefix("btime ") }.flatMap { Double($0.dropFirst(6)) }
  }

  private static var openDescriptors: Int? {
    guard let folder = opendir("/proc/self/fd") else { return nil }
    defer { closedir(folder) }
    var count = 0
    while readdir(folder) != nil { count += 1 }
    // `.`, `..` and the folder's own descriptor.
    return count - 3
  }

  private static func read(_ path: String) -> String {
    guard let file = fopen(path, "re") else { return "" }
    defer { fclose(file) }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { content += chunk[..<count] }
    return String(decoding: content, as: UTF8.self)
  }
}
