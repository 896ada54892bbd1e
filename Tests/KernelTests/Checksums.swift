import Testing

/// Transport checksums, computed from scratch over what a frame says.
extension Frame {
  /// RFC 768, 9293, 8200 section 8.1.
  private var pseudoHeader: [UInt8] {
    switch family {
    case .ipv4: source.suffix(4) + destination.suffix(4) + [0, proto] + be16(UInt16(payload.count))
    case .ipv6: source + destination + be32(UInt32(payload.count)) + [0, 0, 0, proto]
    }
  }

  /// With the right checksum over a payload that is a whole datagram. SCTP's covers no address, and is left alone.
  var sealed: Frame {
    var frame = self
    let at: Int
    switch proto {
    case Proto.tcp: at = 16
    case Proto.udp: at = 6
    case family.icmp: at = 2
    default: return self
    }
    frame.payload.replaceSubrange(at..<at + 2, with: [0, 0])
    let covered = proto == 1 ? frame.payload : pseudoHeader + frame.payload
    var sum = checksum(covered)
    if proto == Proto.udp && sum == 0 { sum = 0xffff }
    frame.payload.replaceSubrange(at..<at + 2, with: be16(sum))
    return frame
  }

  /// With the sum over the pseudo header alone, as between virtual devices where nobody's hardware does the rest.
  var unfinished: Frame {
    var frame = self
    let at = proto == Proto.tcp ? 16 : 6
    frame.payload.replaceSubrange(at..<at + 2, with: be16(~checksum(pseudoHeader)))
    return frame
  }

  /// The datagram in two fragments, of which the first has `count` octets.
  func split(at count: Int) -> [Frame] {
    var parts = [self, self]
    parts[0].payload = Array(payload.prefix(count))
    parts[0].moreFragments = true
    parts[1].payload = Array(payload.dropFirst(count))
    parts[1].fragmentOffset = count
    return parts
  }

  /// As a router hands it on to a pod.
  func delivered(to pod: Pod) -> Frame {
    var frame = self
    (frame.sourceMAC, frame.destinationMAC) = (pod.hostMAC, pod.podMAC)
    frame.hopLimit -= 1
    return frame
  }
}

/// What carries a service's traffic.
enum Carrier: String, CaseIterable, CustomTestStringConvertible {
  case tcp, udp, sctp
  /// UDP without a checksum.
  case bare
  var testDescription: String { rawValue }

  var proto: UInt8 {
    switch self {
    case .tcp: Proto.tcp
    case .udp, .bare: Proto.udp
    case .sctp: Proto.sctp
    }
  }

  /// Where the service's backends listen; SCTP's ports can not change.
  var backendPort: UInt16 { self == .sctp ? 80 : 8080 }

  func payload(_ source: UInt16, _ destination: UInt16, _ flags: UInt8 = TCPFlag.ack) -> [UInt8] {
    switch self {
    case .tcp: KernelTests.tcp(source, destination, flags, data: [9, 8, 7])
    case .udp, .bare: KernelTests.udp(source, destination, data: [9, 8, 7])
    case .sctp: KernelTests.sctp(source, destination)
    }
  }

  func seal(_ frame: Frame) -> Frame { self == .bare ? frame : frame.sealed }
}
