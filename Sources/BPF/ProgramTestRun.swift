import CLibBPF
import Glibc

/// What BPF_PROG_TEST_RUN brought back.
public struct TestRunResult: Sendable, Hashable {
  /// The program's return value, such as TC_ACT_SHOT.
  public let returnValue: UInt32
  /// The packet as the program left it.
  public let data: [UInt8]
  /// The context as the program left it; empty when none was given.
  public let context: [UInt8]
  /// The mean of one run.
  public let duration: Duration
}

extension Program {
  /// Runs the program on a packet without a network.
  ///
  /// - Parameters:
  ///   - data: the packet; for `sched_cls` from its Ethernet header on, at least 14 bytes.
  ///   - context: struct __sk_buff or xdp_md, of which the kernel takes some fields (mark, cb, ifindex …).
  ///   - repeating: how often; one packet is used for all, so a program that rewrites it sees its own output.
  public func testRun(
    data: [UInt8], context: [UInt8] = [], repeating: Int = 1
  ) throws(BPFError) -> TestRunResult {
    // Room for what a program may put in front: encapsulation, and the page of headroom of XDP.
    var dataOut = [UInt8](repeating: 0, count: data.count + 4096)
    var contextOut = context
    var sizes = (data: 0, context: 0)
    var returnValue: UInt32 = 0
    var nanoseconds: UInt32 = 0
    let result = data.withUnsafeBytes { data in
      context.withUnsafeBytes { context in
        dataOut.withUnsafeMutableBytes { dataOut in
          contextOut.withUnsafeMutableBytes { contextOut in
            withOptions(bpf_test_run_opts.self) { options in
              options.pointee.repeat = Int32(repeating)
              if !data.isEmpty {
                options.pointee.data_in = data.baseAddress
                options.pointee.data_size_in = UInt32(data.count)
                options.pointee.data_out = dataOut.baseAddress
                options.pointee.data_size_out = UInt32(dataOut.count)
              }
              if !context.isEmpty {
                options.pointee.ctx_in = context.baseAddress
                options.pointee.ctx_size_in = UInt32(context.count)
                options.pointee.ctx_out = contextOut.baseAddress
                options.pointee.ctx_size_out = UInt32(context.count)
              }
              let result = bpf_prog_test_run_opts(fileDescriptor, options)
              returnValue = options.pointee.retval
              nanoseconds = options.pointee.duration
              sizes = (Int(options.pointee.data_size_out), Int(options.pointee.ctx_size_out))
              return result
            }
          }
        }
      }
    }
    try check(result, "BPF_PROG_TEST_RUN", "program \"\(name)\"")
    return TestRunResult(
      returnValue: returnValue, data: Array(dataOut.prefix(sizes.data)),
      context: Array(contextOut.prefix(sizes.context)), duration: .nanoseconds(Int64(nanoseconds)))
  }

  /// Runs a program of type `sched_cls` and carries its changes of the context back.
  public func testRun(
    data: [UInt8], context: inout SocketBufferContext, repeating: Int = 1
  ) throws(BPFError) -> TestRunResult {
    var buffer = context.kernel
    let bytes = withUnsafeBytes(of: &buffer) { Array($0) }
    let result = try testRun(data: data, context: bytes, repeating: repeating)
    withUnsafeMutableBytes(of: &buffer) { $0.copyBytes(from: result.context.prefix($0.count)) }
    context = SocketBufferContext(kernel: buffer)
    return result
  }
}

/// The fields of struct __sk_buff that a test run takes and gives back.
public struct SocketBufferContext: Sendable, Hashable {
  public var mark: UInt32 = 0
  public var priority: UInt32 = 0
  /// A device of the calling thread's network namespace; 0: its loopback device.
  public var interfaceIndex: UInt32 = 0
  public var ingressInterfaceIndex: UInt32 = 0
  /// How many segments of TCP it is, as its sender says; of another machine's packets nobody does.
  public var segments: UInt32 = 0
  /// `cb`, five words.
  public var controlBlock: [UInt32] = [0, 0, 0, 0, 0]

  public init(mark: UInt32 = 0, interfaceIndex: UInt32 = 0) {
    self.mark = mark
    self.interfaceIndex = interfaceIndex
  }

  init(kernel buffer: __sk_buff) {
    mark = buffer.mark
    priority = buffer.priority
    interfaceIndex = buffer.ifindex
    ingressInterfaceIndex = buffer.ingress_ifindex
    segments = buffer.gso_segs
    controlBlock = [buffer.cb.0, buffer.cb.1, buffer.cb.2, buffer.cb.3, buffer.cb.4]
  }

  var kernel: __sk_buff {
    var buffer = __sk_buff()
    buffer.mark = mark
    buffer.priority = priority
    buffer.ifindex = interfaceIndex
    buffer.ingress_ifindex = ingressInterfaceIndex
    buffer.gso_segs = segments
    let words = controlBlock + [0, 0, 0, 0, 0]
    buffer.cb = (words[0], words[1], words[2], words[3], words[4])
    return buffer
  }
}
