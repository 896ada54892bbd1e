/// What the datapath itself says to the sender of a packet.
extension Frame {
  /// Back to where this came from, in the name of whom it was for, or of `address`.
  private func answered(by address: Address?, _ proto: UInt8, _ payload: [UInt8]) -> Frame {
    var answer = Frame(
      family: family, sourceMAC: destinationMAC, destinationMAC: sourceMAC, source: address ?? destination,
      destination: source, proto: proto, payload: payload)
    answer.fragmentID = 0
    answer.dontFragment = true
    return answer.sealed
  }

  /// RFC 9293, 3.10.7.1, for a segment without ACK that takes up to `next`.
  func reset(_ source: UInt16, _ destination: UInt16, next: UInt32) -> Frame {
    answered(
      by: nil, Proto.tcp,
      be16(source) + be16(destination) + be32(0) + be32(next) + [0x50, TCPFlag.rst | TCPFlag.ack] + be16(0) + be16(0)
        + be16(0))
  }

  /// RFC 792, 4443. At most 256 octets are cited.
  private func told(_ type: UInt8, _ code: UInt8, mtu: UInt32 = 0, by address: Address? = nil) -> Frame {
    answered(by: address, family.icmp, [type, code, 0, 0] + be32(mtu) + packet.prefix(256))
  }

  var portUnreachable: Frame { family == .ipv4 ? told(3, 3) : told(1, 4) }
  func timeExceeded(by address: Address) -> Frame { told(family == .ipv4 ? 11 : 3, 0, by: address) }
  func tooBig(mtu: UInt32, by address: Address) -> Frame {
    family == .ipv4 ? told(3, 4, mtu: mtu, by: address) : told(2, 0, mtu: mtu, by: address)
  }

  /// What a client of nobody hears: the segment's data are three octets.
  func refused(_ carrier: Carrier, _ source: UInt16, _ destination: UInt16) -> Frame {
    carrier == .tcp ? reset(source, destination, next: 1 + 3 + 1) : portUnreachable
  }
}
