public import Addressing

/// Who is to have a share of a table: an address, a port, and how great a share.
public struct Seat: Hashable, Sendable, Comparable {
  public let address: IPAddress
  public let port: UInt16
  /// Above 0, in proportion to the others.
  public let weight: Int

  public init(_ address: IPAddress, port: UInt16, weight: Int = 1) {
    self.address = address
    self.port = port
    self.weight = weight
  }

  public static func < (left: Seat, right: Seat) -> Bool { (left.address, left.port) < (right.address, right.port) }
}
