import Addressing
import JSON
import KubernetesAPI
import Policy

extension ClusterInput {
  /// The object is new, or changed; or it is gone.
  init(_ value: JSONValue, deleted: Bool = false) throws {
    func delta<Object: KubernetesObject>(_ type: Object.Type) throws -> ReflectorDelta<Object> {
      let object = try Object(value)
      return deleted ? .deleted(object.key) : .applied(object)
    }
    switch value["kind"]?.stringValue {
    case "NetworkPolicy": self = .network(try delta(NetworkPolicy.self))
    case "CiliumNetworkPolicy": self = .cilium(try delta(CiliumNetworkPolicy.self))
    case "CiliumClusterwideNetworkPolicy": self = .clusterwide(try delta(CiliumClusterwideNetworkPolicy.self))
    case "CiliumCIDRGroup": self = .cidrGroups(try delta(CiliumCIDRGroup.self))
    case "Service": self = .services(try delta(Service.self))
    case "Endpoints": self = .endpoints(try delta(Endpoints.self))
    case "EndpointSlice": self = .endpointSlices(try delta(EndpointSlice.self))
    case "Node": self = .nodes(try delta(Node.self))
    case "CiliumNode": self = .ciliumNodes(try delta(CiliumNode.self))
    default: throw FieldError(path: "kind", message: "no such kind")
    }
  }
}

func networkPolicy(_ name: String = "n", namespace: String = "default", spec: JSONValue) -> JSONValue {
  [
    "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
    "metadata": ["name": .string(name), "namespace": .string(namespace)], "spec": spec,
  ]
}

func cidrGroup(_ name: String, labels: JSONValue = [:], _ cidrs: String...) -> JSONValue {
  [
    "apiVersion": "cilium.io/v2", "kind": "CiliumCIDRGroup", "metadata": ["name": .string(name), "labels": labels],
    "spec": ["externalCIDRs": .array(cidrs.map(JSONValue.string))],
  ]
}

func service(
  _ name: String, namespace: String = "default", labels: JSONValue = [:], selector: JSONValue? = nil
) -> JSONValue {
  var spec: JSONValue = ["ports": [["port": 80]]]
  if let selector { spec["selector"] = selector }
  return [
    "apiVersion": "v1", "kind": "Service",
    "metadata": ["name": .string(name), "namespace": .string(namespace), "labels": labels], "spec": spec,
  ]
}

func endpoints(_ name: String, namespace: String = "default", _ addresses: String...) -> JSONValue {
  [
    "apiVersion": "v1", "kind": "Endpoints", "metadata": ["name": .string(name), "namespace": .string(namespace)],
    "subsets": [["addresses": .array(addresses.map { ["ip": .string($0)] }), "ports": [["port": 80]]]],
  ]
}

func endpointSlice(_ service: String, namespace: String = "default", _ addresses: String...) -> JSONValue {
  [
    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
    "metadata": [
      "name": .string(service + "-abc"), "namespace": .string(namespace),
      "labels": ["kubernetes.io/service-name": .string(service)],
    ],
    "addressType": addresses.contains { $0.contains(":") } ? "IPv6" : "IPv4",
    "endpoints": [["addresses": .array(addresses.map(JSONValue.string))]],
  ]
}

func node(_ name: String, labels: JSONValue = [:], _ addresses: String...) -> JSONValue {
  [
    "apiVersion": "v1", "kind": "Node", "metadata": ["name": .string(name), "labels": labels],
    "status": ["addresses": .array(addresses.map { ["type": "InternalIP", "address": .string($0)] })],
  ]
}
