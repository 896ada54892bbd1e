import BPF
import CMartletABI
import Glibc
import Netlink
import Testing

/// What became of one packet.
struct Outcome {
  let code: UInt32
  let bytes: [UInt8]
  let control: [UInt32]
  let mark: UInt32
  let events: [martlet_event]

  /// The reason of the one drop event, 0 without.
  var reason: UInt32 { events.first { $0.type == 1 }.map { UInt32($0.reason) } ?? 0 }
}

extension Node {
  func frame(
    _ family: Family, from source: Pod, to destination: Address, _ proto: UInt8, _ payload: [UInt8]
  ) -> Frame {
    Frame(
      family: family, sourceMAC: source.podMAC, destinationMAC: source.hostMAC, source: source.address(family),
      destination: destination, proto: proto, payload: payload)
  }

  func frame(_ family: Family, from source: Pod, to destination: Pod, _ proto: UInt8, _ payload: [UInt8]) -> Frame {
    frame(family, from: source, to: destination.address(family), proto, payload)
  }

  /// A packet that the node's stack brings to a pod.
  func frame(
    _ family: Family, from source: Address, to destination: Pod, _ proto: UInt8, _ payload: [UInt8]
  ) -> Frame {
    Frame(
      family: family, sourceMAC: destination.hostMAC, destinationMAC: destination.podMAC, source: source,
      destination: destination.address(family), proto: proto, payload: payload)
  }

  func leaves(_ frame: Frame, mark: UInt32 = 0, from ingress: UInt32 = 0) throws -> Outcome {
    try run("from_container", frame.bytes, mark, from: ingress)
  }
  func arrives(_ frame: Frame, mark: UInt32 = 0, from ingress: UInt32 = 0) throws -> Outcome {
    try run("to_container", frame.bytes, mark, from: ingress)
  }

  /// As ``leaves(_:mark:from:)`` and ``arrives(_:mark:from:)``, but only asking.
  func traceLeaving(_ frame: Frame) throws -> Outcome { try leaves(frame, from: MARTLET_TRACE_INGRESS_IFINDEX) }
  func traceArriving(_ frame: Frame) throws -> Outcome { try arrives(frame, from: MARTLET_TRACE_INGRESS_IFINDEX) }

  func run(
    _ program: String, _ bytes: [UInt8], _ mark: UInt32 = 0, from ingress: UInt32 = 0, segments: UInt32 = 0
  ) throws -> Outcome {
    var context = SocketBufferContext(mark: mark, interfaceIndex: outside?.index ?? 1)
    context.ingressInterfaceIndex = ingress
    context.segments = segments
    let program = try (program.hasSuffix("_netdev") ? host() : loaded).program(program)
    let result: TestRunResult
    if let outside {
      let initial = context
      (result, context) = try outside.namespace.run {
        var context = initial
        return (try program.testRun(data: bytes, context: &context), context)
      }
    } else {
      result = try program.testRun(data: bytes, context: &context)
    }
    return Outcome(
      code: result.returnValue, bytes: result.data, control: context.controlBlock, mark: context.mark,
      events: newEvents())
  }

  /// A frame that comes by the device to the outside, seen before there is a socket buffer.
  func runOnWire(_ bytes: [UInt8]) throws -> Outcome {
    let (namespace, index) = try #require(outside)
    // struct xdp_md: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
    let words: [UInt32] = [0, UInt32(bytes.count), 0, index, 0, 0]
    let context = words.withUnsafeBytes { Array($0) }
    let program = try wire().program("from_wire")
    let result = try namespace.run { try program.testRun(data: bytes, context: context) }
    return Outcome(code: result.returnValue, bytes: result.data, control: [], mark: 0, events: newEvents())
  }

  private func newEvents() -> [martlet_event] {
    var events: [martlet_event] = []
    ring.consume { events.append($0.loadUnaligned(as: martlet_event.self)) }
    return events
  }

  /// Packets counted under a reason, of all CPUs.
  func counted(_ reason: UInt32, _ side: Side) throws -> UInt64 {
    try metrics.lookup(reason * 2 + UInt32(side.rawValue))?.reduce(0) { $0 + $1.packets } ?? 0
  }

  var lostEvents: UInt64 {
    get throws { try lost.lookup(0)?.reduce(0, +) ?? 0 }
  }

  /// The one connection that there is.
  func connection() throws -> martlet_ct_entry {
    let entries = try conntrack.entries()
    try #require(entries.count == 1)
    return entries[0].value
  }

  /// Changes the one connection that there is.
  func changeConnection(_ change: (inout martlet_ct_entry) -> Void) throws {
    var (key, value) = try #require(try conntrack.entries().first)
    change(&value)
    try conntrack.update(key, value)
  }

  /// Seconds of life that the one connection has left, as the kernel granted them.
  func lifetime() throws -> Int {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int(try connection().expires) - now.tv_sec
  }
}
