import Addressing
import CMartletABI
import KernelABI
import Services

extension FrontendKey {
  var entry: martlet_frontend_key {
    martlet_frontend_key(
      address: martlet_addr(address), port: port.bigEndian, protocol: `protocol`.rawValue, pad: (0, 0, 0, 0, 0))
  }

  init(_ key: martlet_frontend_key) {
    self.init(
      address: IPAddress(key.address), port: UInt16(bigEndian: key.port), protocol: TransportProtocol(key.protocol))
  }
}

extension KernelFrontend {
  var entry: martlet_frontend {
    martlet_frontend(service: service, external: external, flags: kinds.rawValue, pad: 0)
  }

  init(_ entry: martlet_frontend) {
    self.init(service: entry.service, external: entry.external, kinds: FrontendKinds(rawValue: entry.flags))
  }
}

extension KernelService {
  var entry: martlet_service {
    martlet_service(
      table: table, count: count, affinity: affinity, flags: flags.rawValue, listener: listener, pad: 0)
  }

  init(_ entry: martlet_service) {
    self.init(
      table: entry.table, count: entry.count, affinity: entry.affinity, flags: Flags(rawValue: entry.flags),
      listener: entry.listener)
  }
}

extension KernelBackend {
  var entry: martlet_backend {
    martlet_backend(
      address: martlet_addr(address.address), port: address.port.bigEndian, protocol: `protocol`.rawValue,
      flags: isLocal ? UInt8(MARTLET_BACKEND_LOCAL.rawValue) : 0, pad: 0)
  }

  init(_ entry: martlet_backend) {
    self.init(
      address: BackendAddress(address: IPAddress(entry.address), port: UInt16(bigEndian: entry.port)),
      protocol: TransportProtocol(entry.protocol), isLocal: entry.flags & UInt8(MARTLET_BACKEND_LOCAL.rawValue) != 0)
  }
}

extension martlet_source_range_key {
  /// The service's number stands before the block.
  private static let serviceBits: UInt32 = 32

  init(_ service: UInt32, _ block: CIDR) {
    let key = martlet_ipcache_key(block)
    self.init(prefix_length: key.prefix_length + Self.serviceBits, service: service, address: key.address)
  }

  var block: martlet_ipcache_key {
    martlet_ipcache_key(
      prefix_length: prefix_length > Self.serviceBits ? prefix_length - Self.serviceBits : 0, address: address)
  }
}

extension CIDR {
  init?(_ key: martlet_source_range_key) { self.init(key.block) }
}
