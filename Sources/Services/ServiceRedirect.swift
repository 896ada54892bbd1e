/// Traffic to a Service that goes to a listener of the node's proxy, by TCP.
public struct ServiceRedirect: Hashable, Sendable {
  /// The Service's ports; empty for all of them.
  public let ports: Set<UInt16>
  /// The proxy's number of it; 0: nobody's, so the ports are balanced by the kernel.
  public let listener: UInt32

  public init(ports: Set<UInt16> = [], listener: UInt32) {
    self.ports = ports
    self.listener = listener
  }

  func covers(_ port: UInt16) -> Bool { ports.isEmpty || ports.contains(port) }
}
