import Files
import Netlink

/// The TCP ports that something listens on in the network namespace of a process.
public enum ListeningPorts {
  /// Reads /proc/PID/net/tcp and tcp6; empty when the process is gone.
  public static func ofProcess(_ pid: Int32) -> Set<UInt16> {
    read("/proc/\(pid)/net") ?? []
  }

  /// As ``ofProcess(_:)``, of the network namespace with this path; nil when it can not be looked into.
  public static func ofNamespace(_ path: String) -> Set<UInt16>? {
    guard let namespace = try? NetworkNamespace(path: path) else { return nil }
    return (try? namespace.run { read("/proc/thread-self/net") }) ?? nil
  }

  /// nil when there is nothing to read.
  private static func read(_ directory: String) -> Set<UInt16>? {
    let tables = ["tcp", "tcp6"].compactMap { try? StateFiles.read("\(directory)/\($0)") }
    return tables.isEmpty ? nil : tables.reduce(into: []) { $0.formUnion(parse(String(decoding: $1, as: UTF8.self))) }
  }

  /// The local ports of the lines in state 0A, TCP_LISTEN (proc_net_tcp). Sockets of loopback do not count: nobody
  /// outside of the pod reaches them.
  public static func parse(_ table: String) -> Set<UInt16> {
    var ports: Set<UInt16> = []
    for line in table.split(separator: "\n").dropFirst() {
      let fields = line.split(separator: " ", maxSplits: 4)
      guard fields.count > 3, fields[3] == "0A" else { continue }
      let local = fields[1].split(separator: ":")
      guard local.count == 2, let port = UInt16(local[1], radix: 16), !isLoopback(local[0]) else { continue }
      ports.insert(port)
    }
    return ports
  }

  /// Addresses are printed as words in the machine's byte order: 127.0.0.1 is 0100007F.
  private static func isLoopback(_ address: Substring) -> Bool {
    address.count == 8 ? address.hasSuffix("7F") : address == "00000000000000000000000001000000"
  }
}
