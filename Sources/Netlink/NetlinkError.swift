import CLinux
import Glibc

/// A request that the kernel refused, or a socket that failed.
public struct NetlinkError: Error, Sendable, Hashable {
  /// What was asked, such as `RTM_NEWLINK mlt0`.
  public var request: String
  /// The error's number, positive; see errno(3).
  public var errno: Int32
  /// The kernel's own words (NLMSGERR_ATTR_MSG), when it gave some.
  public var kernelText: String?

  public init(request: String, errno: Int32, kernelText: String? = nil) {
    self.request = request
    self.errno = errno
    self.kernelText = kernelText
  }

  /// The symbol of ``errno``, such as `EEXIST`.
  public var name: String { String(cString: clinux_errno_name(errno)) }

  /// What was to be made is there already.
  public var isAlreadyThere: Bool { errno == EEXIST }

  /// What was asked for does not exist: device, address, route, rule, neighbour or qdisc.
  public var isAbsent: Bool {
    [ENODEV, ENOENT, ESRCH, EADDRNOTAVAIL].contains(errno)
  }

  /// The calling system call's errno.
  static func last(_ request: String) -> NetlinkError { NetlinkError(request: request, errno: Glibc.errno) }
}

extension NetlinkError: CustomStringConvertible {
  public var description: String {
    "\(request) failed: \(name)" + (kernelText.map { " (\($0))" } ?? "")
  }
}
