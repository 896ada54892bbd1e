import Addressing
import JSON

/// Gives Services their addresses and node ports, within the write that stores them: what is free is what no stored
/// object holds.
struct ServiceAllocator: Sendable {
  let network: ServiceNetwork

  /// Fills in what the Service needs and does not have. Throws the API server's refusal when something that was asked for
  /// is not to be had.
  func allocate(
    _ value: inout JSONValue, _ key: ObjectKey, _ resource: Resource, _ transaction: StoreTransaction
  ) throws(APIStatus) {
    var service = ServiceDocument(value)
    func refuse(_ field: String, _ message: String) -> APIStatus {
      .invalid(resource, key.name, [.init(reason: "FieldValueInvalid", message: message, field: field)])
    }
    if service.needsClusterIP, !service.isHeadless, !network.clusterRanges.isEmpty {
      try allocateClusterIPs(&service, key, transaction, refuse)
    }
    if service.canHaveNodePorts {
      var ports = NodePorts(network.nodePorts) { port in
        let holder = transaction.holder(of: .nodePort(port))
        return holder == nil || holder == key
      }
      try ports.allocate(&service, refuse)
    }
    if service.isLoadBalancer {
      LoadBalancerAddresses(ranges: network.loadBalancerRanges).assign(&service) { address in
        let holder = transaction.holder(of: .loadBalancerIP(address))
        return holder == nil || holder == key
      }
    }
    value = service.value
  }

  private func allocateClusterIPs(
    _ service: inout ServiceDocument, _ key: ObjectKey, _ transaction: StoreTransaction,
    _ refuse: (String, String) -> APIStatus
  ) throws(APIStatus) {
    let wanted = service.clusterIPs
    var given: [String] = []
    for (index, family) in service.ipFamilies.enumerated() {
      guard let range = network.clusterRange(family) else { continue }
      guard index < wanted.count, let address = IPAddress(wanted[index]) else {
        given.append(try freeClusterIP(range, transaction).description)
        continue
      }
      given.append(wanted[index])
      let holder = transaction.holder(of: .clusterIP(address))
      // What it has had so far stays its own, in whatever range.
      if holder == key { continue }
      let why: String
      if !ServiceNetwork.isUsable(address, in: range) {
        why = "the provided IP (\(address)) is not in the valid range. The range of valid IPs is \(range)"
      } else if holder != nil {
        why = "provided IP is already allocated"
      } else {
        continue
      }
      throw refuse(
        "spec.clusterIPs",
        "Invalid value: \(FieldCauses.goList(wanted)): failed to allocate IP \(wanted[index]): \(why)")
    }
    service.clusterIPs = given
    service["clusterIP"] = given.first.map(JSONValue.string)
  }

  private func freeClusterIP(
    _ range: CIDR, _ transaction: StoreTransaction
  ) throws(APIStatus) -> IPAddress {
    let size = ServiceNetwork.size(range)
    // The network's own address, and the last of an IPv4 block.
    let usable = size - min(size, range.isIPv4 ? 2 : 1)
    let offset = FreeNumber.pick(count: usable, reserved: FreeNumber.reservedAddresses(of: usable)) {
      transaction.holder(of: .clusterIP(range.address.advanced(by: $0 + 1))) == nil
    }
    guard let offset else { throw .internalError("failed to allocate a serviceIP: range is full") }
    return range.address.advanced(by: offset + 1)
  }
}

/// The node ports of one Service.
private struct NodePorts {
  private let range: ClosedRange<UInt16>
  private let isFree: (UInt16) -> Bool
  /// Given in this write, to any of its ports.
  private var taken: Set<UInt16> = []

  init(_ range: ClosedRange<UInt16>, isFree: @escaping (UInt16) -> Bool) {
    self.range = range
    self.isFree = isFree
  }

  mutating func allocate(
    _ service: inout ServiceDocument, _ refuse: (String, String) -> APIStatus
  ) throws(APIStatus) {
    var ports = service.ports
    // A port that is served by several protocols has one node port for all of them.
    var byPort: [UInt16: UInt16] = [:]
    for (index, port) in ports.enumerated() {
      guard let number = ServiceDocument.port(port["nodePort"]) else { continue }
      try claim(number, "spec.ports[\(index)].nodePort", refuse)
      if let key = ServiceDocument.port(port["port"]), byPort[key] == nil { byPort[key] = number }
    }
    if let number = service.healthCheckPort { try claim(number, "spec.healthCheckNodePort", refuse) }
    if service.getsNodePorts {
      for (index, port) in ports.enumerated() where port["nodePort"] == nil {
        guard let key = ServiceDocument.port(port["port"]) else { continue }
        var number = byPort[key] ?? 0
        if number == 0 { number = try next() }
        byPort[key] = number
        ports[index]["nodePort"] = .integer(Int64(number))
      }
      service.ports = ports
    }
    if service.needsHealthCheckPort, service.healthCheckPort == nil {
      service["healthCheckNodePort"] = .integer(Int64(try next()))
    }
  }

  private mutating func claim(
    _ number: UInt16, _ field: String, _ refuse: (String, String) -> APIStatus
  ) throws(APIStatus) {
    guard !taken.contains(number) else { return }
    if !range.contains(number) {
      throw refuse(
        field,
        "Invalid value: \(number): provided port is not in the valid range. The range of valid ports is "
          + "\(range.lowerBound)-\(range.upperBound)")
    }
    guard isFree(number) else { throw refuse(field, "Invalid value: \(number): provided port is already allocated") }
    taken.insert(number)
  }

  private mutating func next() throws(APIStatus) -> UInt16 {
    let count = UInt64(range.count)
    let offset = FreeNumber.pick(count: count, reserved: FreeNumber.reservedPorts(of: count)) { offset in
      let number = range.lowerBound + UInt16(offset)
      return !taken.contains(number) && isFree(number)
    }
    guard let offset else { throw .internalError("failed to allocate a nodePort: range is full") }
    let number = range.lowerBound + UInt16(offset)
    taken.insert(number)
    return number
  }
}
