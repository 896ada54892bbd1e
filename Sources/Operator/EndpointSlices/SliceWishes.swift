import Addressing
import JSON
import KubernetesAPI

/// What the slices of a Service should say, before it is settled which slice says what.
struct SliceWishes: Sendable {
  /// Endpoints share a slice only when they have the same family and the same ports: pods can resolve the name of a port
  /// to different numbers.
  struct Group: Hashable, Sendable {
    let family: IPFamily
    /// As in the slice.
    let ports: [JSONValue]
  }

  /// The endpoints as they stand in a slice, by `SliceWishes.key`.
  let groups: [Group: [String: JSONValue]]

  /// - Parameter zone: the zone of a node, where it is known.
  init(_ service: Service, _ pods: [SlicePod], zone: (String) -> String?) {
    var groups: [Group: [String: JSONValue]] = [:]
    for family in SliceWishes.families(service) {
      for pod in pods {
        guard let address = pod.address(family) else { continue }
        let group = Group(family: family, ports: SliceWishes.ports(service, pod))
        let endpoint = SliceWishes.endpoint(service, pod, address, zone: pod.nodeName.flatMap(zone))
        groups[group, default: [:]][SliceWishes.key(endpoint)] = endpoint
      }
    }
    self.groups = groups
  }

  /// What tells two endpoints of a Service apart.
  static func key(_ endpoint: JSONValue) -> String {
    let address = endpoint["addresses"]?.arrayValue?.first?.stringValue ?? ""
    return address + " " + (endpoint[path: "targetRef", "uid"]?.stringValue ?? "")
  }

  /// Those of the Service; a Service from before there were families says it with its addresses.
  static func families(_ service: Service) -> [IPFamily] {
    if !service.ipFamilies.isEmpty { return service.ipFamilies }
    let families = service.clusterIPs.map(IPFamily.init(of:))
    return families.isEmpty ? [.ipv4] : families
  }

  private static func ports(_ service: Service, _ pod: SlicePod) -> [JSONValue] {
    service.ports.compactMap { port in
      let number: UInt16
      switch port.targetPort {
      case .number(let target): number = target
      case .name(let name):
        guard let found = pod.ports[SlicePod.NamedPort(name: name, protocol: port.protocol)] else { return nil }
        number = found
      }
      var value: JSONValue = [
        "name": .string(port.name ?? ""), "port": .integer(Int64(number)),
        "protocol": .string(port.protocol.rawValue),
      ]
      if let appProtocol = port.appProtocol { value["appProtocol"] = .string(appProtocol) }
      return value
    }
  }

  private static func endpoint(
    _ service: Service, _ pod: SlicePod, _ address: IPAddress, zone: String?
  ) -> JSONValue {
    let isReady = service.publishNotReadyAddresses || pod.isReady && !pod.isTerminating
    var endpoint: JSONValue = [
      "addresses": [.string(address.description)],
      "conditions": [
        "ready": .bool(isReady), "serving": .bool(pod.isReady), "terminating": .bool(pod.isTerminating),
      ],
      "targetRef": [
        "kind": "Pod", "namespace": .string(pod.namespace), "name": .string(pod.name), "uid": .string(pod.uid),
      ],
    ]
    if let node = pod.nodeName { endpoint["nodeName"] = .string(node) }
    if let zone { endpoint["zone"] = .string(zone) }
    if let hostname = pod.hostname, pod.subdomain == service.metadata.name { endpoint["hostname"] = .string(hostname) }
    if isReady { endpoint["hints"] = hints(service.trafficDistribution, node: pod.nodeName, zone: zone) }
    return endpoint
  }

  /// Which clients should take the endpoint (Kubernetes, "Traffic distribution").
  private static func hints(_ distribution: String?, node: String?, zone: String?) -> JSONValue? {
    var hints: [String: JSONValue] = [:]
    if let zone, ["PreferClose", "PreferSameZone", "PreferSameNode"].contains(distribution) {
      hints["forZones"] = [["name": .string(zone)]]
    }
    if let node, distribution == "PreferSameNode" { hints["forNodes"] = [["name": .string(node)]] }
    return hints.isEmpty ? nil : .object(hints)
  }
}
