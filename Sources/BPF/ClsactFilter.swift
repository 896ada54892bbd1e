import CLibBPF
import Glibc

/// The direct-action filter with handle 1 and priority 1 below a device's clsact qdisc.
struct ClsactFilter {
  private let interfaceIndex: UInt32
  private let direction: TrafficDirection

  init(_ interfaceIndex: UInt32, _ direction: TrafficDirection) {
    self.interfaceIndex = interfaceIndex
    self.direction = direction
  }

  private typealias Call = (UnsafeMutablePointer<bpf_tc_hook>, UnsafeMutablePointer<bpf_tc_opts>) -> Int32

  private func call(_ body: Call) -> (Int32, LibBPFOutput.Text) {
    LibBPFOutput.capture {
      withOptions(bpf_tc_hook.self) { hook in
        withOptions(bpf_tc_opts.self) { options in
          hook.pointee.ifindex = Int32(interfaceIndex)
          hook.pointee.attach_point = direction == .ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS
          options.pointee.handle = 1
          options.pointee.priority = 1
          return body(hook, options)
        }
      }
    }
  }

  private var label: String { "clsact \(direction) of device \(interfaceIndex)" }

  private func error(_ call: String, _ result: Int32, _ text: LibBPFOutput.Text) -> BPFError {
    let detail = text.sentences.isEmpty ? label : "\(label): \(text.sentences)"
    return BPFError(call: call, errno: -result, detail: detail)
  }

  /// Attaches, or replaces in place.
  func attach(_ program: Program) throws(BPFError) {
    let (made, madeText) = call { hook, _ in bpf_tc_hook_create(hook) }
    // EEXIST: somebody's clsact qdisc, which serves as well.
    if made != 0, made != -EEXIST { throw error("bpf_tc_hook_create", made, madeText) }
    let (result, text) = call { hook, options in
      options.pointee.prog_fd = program.fileDescriptor
      options.pointee.flags = BPF_TC_F_REPLACE.rawValue
      return bpf_tc_attach(hook, options)
    }
    if result != 0 { throw error("bpf_tc_attach", result, text) }
  }

  /// Removes the filter; the qdisc stays, others may use it.
  func detach() throws(BPFError) {
    let (result, text) = call { bpf_tc_detach($0, $1) }
    if [0, -ENOENT, -ENODEV, -EINVAL].contains(result) { return }
    throw error("bpf_tc_detach", result, text)
  }

  func programID() throws(BPFError) -> UInt32? {
    var id: UInt32 = 0
    let (result, text) = call { hook, options in
      let result = bpf_tc_query(hook, options)
      id = options.pointee.prog_id
      return result
    }
    if result == 0 { return id }
    // No qdisc: EINVAL. No filter: ENOENT.
    if result == -ENOENT || result == -EINVAL { return nil }
    throw error("bpf_tc_query", result, text)
  }
}
