import Addressing
import JSON

extension APIServer {
  /// The Service `default/kubernetes` with the first address of the range, as every cluster has it. Its endpoints are
  /// published only where others than this host's processes can reach them: an address of the loopback device means
  /// something else in a pod, so clients there are refused at once instead of being led astray.
  func publishItself(address: String, port: Int) throws {
    guard let resource = registry.resource(group: "", version: "v1", plural: ServiceStrategy.resource),
      let slices = registry.resource(group: "discovery.k8s.io", version: "v1", plural: "endpointslices"),
      let first = services.network.first
    else { return }
    let name = "kubernetes"
    try store.write { transaction in
      let key = resource.key(namespace: "default", name: name)
      let port: JSONValue = ["name": "https", "protocol": "TCP", "port": 443, "targetPort": .integer(Int64(port))]
      let old = try transaction.object(key)?.value()
      var value =
        old ?? [
          "apiVersion": "v1", "kind": "Service",
          "metadata": [
            "name": .string(name), "namespace": "default",
            "labels": ["component": "apiserver", "provider": "kubernetes"],
          ], "spec": ["clusterIP": .string(first.description), "type": "ClusterIP"],
        ]
      if old == nil { ServerFields.initialize(&value, resource) }
      value.set(["spec", "ports"], to: [port])
      _ = services.admit(&value, old: old)
      try services.allocator.allocate(&value, key, resource, transaction)
      if value != old { transaction.put(key, value, selectable: resource.selectable) }
      try publishEndpoint(
        address, port["targetPort"] ?? 0, slices.key(namespace: "default", name: name), slices, &transaction)
    }
  }

  private func publishEndpoint(
    _ address: String, _ port: JSONValue, _ key: ObjectKey, _ resource: Resource, _ transaction: inout StoreTransaction
  ) throws {
    let old = try transaction.object(key)?.value()
    guard let address = IPAddress(address), !address.isLoopback, !APIServer.isUnspecified(address) else {
      if let old { transaction.delete(key, lastState: old, selectable: resource.selectable) }
      return
    }
    var value: JSONValue = [
      "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
      "metadata": [
        "name": .string(key.name), "namespace": .string(key.namespace),
        "labels": ["kubernetes.io/service-name": .string(key.name)],
      ],
      "addressType": .string(ServiceNetwork.family(address)),
      "endpoints": [["addresses": [.string(address.description)], "conditions": ["ready": true]]],
      "ports": [["name": "https", "protocol": "TCP", "port": port]],
    ]
    if let old, ["addressType", "endpoints", "ports"].allSatisfy({ old[$0] == value[$0] }) { return }
    if let old {
      value["metadata"] = old["metadata"]
    } else {
      ServerFields.initialize(&value, resource)
    }
    transaction.put(key, value, selectable: resource.selectable)
  }

  private static func isUnspecified(_ address: IPAddress) -> Bool {
    address.familyBytes.allSatisfy { $0 == 0 }
  }
}
