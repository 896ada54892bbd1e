import CLibBPF
import Glibc

/// A device's two hooks of traffic control, named from the device's point of view: ingress is what it receives.
public enum TrafficDirection: String, Sendable, Hashable, CaseIterable {
  case ingress
  case egress

  var tcx: AttachType { self == .ingress ? .tcxIngress : .tcxEgress }
}

/// A `sched_cls` program on a device, by tcx or, before Linux 6.6, by a clsact filter; callers need not care which.
///
/// With a pin path the attachment outlives this value and this process. Without one a tcx link ends with this value; a filter
/// stays in either case until ``detach()`` or until its device goes.
public final class TCAttachment: Sendable {
  public enum Mechanism: String, Sendable, Hashable {
    case tcx
    case clsact
  }

  /// A program that was found on a hook.
  public struct Attached: Sendable, Hashable {
    public let programID: UInt32
    public let mechanism: Mechanism
  }

  public let interfaceIndex: UInt32
  public let direction: TrafficDirection
  public let pinPath: String?
  private let link: Link?

  public var mechanism: Mechanism { link == nil ? .clsact : .tcx }

  private init(_ interfaceIndex: UInt32, _ direction: TrafficDirection, pinPath: String?, link: Link?) {
    self.interfaceIndex = interfaceIndex
    self.direction = direction
    self.pinPath = pinPath
    self.link = link
  }

  /// Attaches `program`, or puts it in place of the one that an earlier process attached with the same pin path.
  ///
  /// - Parameters:
  ///   - interfaceIndex: a device of the calling thread's network namespace.
  ///   - pinPath: on a BPF file system, in a folder that exists. A pin of a device that is gone is replaced.
  ///   - mechanism: nil takes tcx where the kernel has it.
  public static func attach(
    _ program: Program, interfaceIndex: UInt32, direction: TrafficDirection, pinPath: String? = nil,
    mechanism: Mechanism? = nil
  ) throws(BPFError) -> TCAttachment {
    if let pinPath, mechanism != .clsact,
      let adopted = try adopt(pinPath, program, interfaceIndex, direction)
    {
      return adopted
    }
    if mechanism != .clsact {
      do throws(BPFError) {
        let link = try Link.tcx(program, interfaceIndex: interfaceIndex, direction: direction)
        if let pinPath { try link.pin(at: pinPath, replacing: true) }
        return TCAttachment(interfaceIndex, direction, pinPath: pinPath, link: link)
      } catch  where error.errno == EINVAL && mechanism == nil && !Feature.tcx.probe().isSupported {
        // An older kernel: the filter below.
      }
    }
    try ClsactFilter(interfaceIndex, direction).attach(program)
    return TCAttachment(interfaceIndex, direction, pinPath: pinPath, link: nil)
  }

  /// nil when there is no pin of a live tcx link on this hook.
  private static func adopt(
    _ path: String, _ program: Program, _ interfaceIndex: UInt32, _ direction: TrafficDirection
  ) throws(BPFError) -> TCAttachment? {
    guard access(path, F_OK) == 0 else { return nil }
    let link = try Link.fromPin(path)
    let info = try link.info()
    guard info.interfaceIndex == interfaceIndex, info.attachType == direction.tcx else { return nil }
    if info.programID != program.id { try link.update(to: program) }
    return TCAttachment(interfaceIndex, direction, pinPath: path, link: link)
  }

  /// Puts another program in place without a gap.
  public func replace(with program: Program) throws(BPFError) {
    if let link { return try link.update(to: program) }
    try ClsactFilter(interfaceIndex, direction).attach(program)
  }

  /// Ends the attachment and removes its pin. A device that is gone is not an error.
  public func detach() throws(BPFError) {
    if let pinPath { try Pin.unpin(pinPath) }
    guard let link else { return try ClsactFilter(interfaceIndex, direction).detach() }
    do throws(BPFError) { try link.detach() } catch  where error.errno == ENOLINK || error.errno == ENODEV {}
  }

  /// Ends an attachment by a filter, of which nothing but the device tells. A device without one is not an error.
  public static func detachFilter(interfaceIndex: UInt32, direction: TrafficDirection) throws(BPFError) {
    try ClsactFilter(interfaceIndex, direction).detach()
  }

  /// The programs on a hook of a device in the calling thread's network namespace, in the order they run.
  public static func query(interfaceIndex: UInt32, direction: TrafficDirection) throws(BPFError) -> [Attached] {
    var found = try tcxPrograms(interfaceIndex, direction).map { Attached(programID: $0, mechanism: .tcx) }
    if let id = try ClsactFilter(interfaceIndex, direction).programID() {
      found.append(Attached(programID: id, mechanism: .clsact))
    }
    return found
  }

  private static func tcxPrograms(
    _ interfaceIndex: UInt32, _ direction: TrafficDirection
  ) throws(BPFError) -> [UInt32] {
    var ids = [UInt32](repeating: 0, count: 64)
    var count = UInt32(ids.count)
    let result = bpf_prog_query(Int32(interfaceIndex), direction.tcx.kernel, 0, nil, &ids, &count)
    // Without tcx: EINVAL. With tcx and nothing attached so far: ENOENT.
    if result == -EINVAL || result == -ENOENT { return [] }
    try check(result, "BPF_PROG_QUERY", "\(direction) of device \(interfaceIndex)")
    return Array(ids.prefix(Int(count)))
  }
}
