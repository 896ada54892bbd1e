import JSON

/// What the API server does for Services beyond what it does for every kind.
struct ServiceStrategy: Sendable {
  static let resource = "services"

  let network: ServiceNetwork
  var allocator: ServiceAllocator { ServiceAllocator(network: network) }

  /// Before a Service is checked against the schema: completes it, and returns what is wrong with it.
  func admit(_ value: inout JSONValue, old: JSONValue?) -> [APIStatus.Cause] {
    var service = ServiceDocument(value)
    let before = old.map(ServiceDocument.init)
    ServiceShaping.prepare(&service, old: before)
    var causes = ServiceValidation.causes(service, old: before)
    if causes.isEmpty { causes = ServiceFamilies.complete(&service, old: before, network) }
    value = service.value
    return causes
  }

  /// Gives load balancers that have no address what another one has released in this write; at the start, those too whose
  /// address the ranges no longer have.
  func assignReleased(_ registry: Registry, _ transaction: inout StoreTransaction, all: Bool = false) throws {
    guard !network.loadBalancerRanges.isEmpty,
      all || transaction.changes.contains(where: ServiceStrategy.releasesAddress),
      let resource = registry.resource(group: "", version: "v1", plural: ServiceStrategy.resource)
    else { return }
    for key in transaction.keys(ofResource: ServiceStrategy.resource) {
      guard let object = transaction.object(key), object.fields["spec.type"] == "LoadBalancer",
        all || !object.claims.contains(where: \.isLoadBalancerIP)
      else { continue }
      let old = try object.value()
      var value = old
      try allocator.allocate(&value, key, resource, transaction)
      if value != old { transaction.put(key, value, selectable: resource.selectable) }
    }
  }

  private static func releasesAddress(_ change: StoreChange) -> Bool {
    guard let previous = change.previous else { return false }
    return previous.claims.contains { claim in
      claim.isLoadBalancerIP && (change.kind == .deleted || !change.object.claims.contains(claim))
    }
  }
}
