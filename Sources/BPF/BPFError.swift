import CLinux
import Glibc

/// A call to the kernel or to libbpf that failed.
public struct BPFError: Error, Sendable, Hashable {
  /// The call, such as `BPF_MAP_UPDATE_ELEM` or `bpf_object__load`.
  public var call: String
  /// The error's number, positive; see errno(3).
  public var errno: Int32
  /// What was worked on, and what libbpf said of it.
  public var detail: String
  /// The verifier's whole log when a program was refused.
  public var verifierLog: String?

  public init(call: String, errno: Int32, detail: String = "", verifierLog: String? = nil) {
    self.call = call
    self.errno = errno
    self.detail = detail
    self.verifierLog = verifierLog
  }

  /// The symbol of ``errno``, such as `ENOENT`.
  public var name: String { String(cString: clinux_errno_name(errno)) }

  var isNoEntry: Bool { errno == ENOENT }

  /// An update that found no room: hashes say E2BIG, tries ENOSPC.
  public var isFullMap: Bool { call == "BPF_MAP_UPDATE_ELEM" && (errno == E2BIG || errno == ENOSPC) }
}

extension BPFError: CustomStringConvertible {
  public var description: String {
    var text = detail.isEmpty ? "\(call) failed: \(name)" : "\(call) failed for \(detail): \(name)"
    if isFullMap { text += ", it is full" }
    if let reason = verifierLog?.lastMeaningfulLine { text += " (verifier: \(reason))" }
    return text
  }
}

extension String {
  /// The verifier ends with statistics; the line before them says why it refused.
  fileprivate var lastMeaningfulLine: Substring? {
    split(separator: "\n").last { !$0.hasPrefix("processed ") && !$0.hasPrefix("verification time") }
  }
}

/// Turns the kernel's and libbpf's convention, a negative errno, into an error.
@discardableResult
func check(
  _ result: Int32, _ call: StaticString, _ detail: @autoclosure () -> String = ""
) throws(BPFError) -> Int32 {
  guard result < 0 else { return result }
  throw BPFError(call: "\(call)", errno: -result, detail: detail())
}
