import JSON

/// `envoy.config.route.v3.WeightedCluster`: each cluster gets its share of the requests.
public struct WeightedClusters: Hashable, Sendable {
  public struct Cluster: Hashable, Sendable {
    /// Or a header of the request that names it, in lower case.
    public enum Name: Hashable, Sendable {
      case cluster(ClusterReference)
      case header(String)
    }

    public let name: Name
    public let weight: UInt32
    public let requestHeaders: HeaderMutations
    public let responseHeaders: HeaderMutations
    public let hostRewrite: String?
    public let filters: PerFilterConfigs

    static let fields = MessageFields(
      "envoy.config.route.v3.WeightedCluster.ClusterWeight",
      read: [
        "name", "cluster_header", "weight", "request_headers_to_add", "request_headers_to_remove",
        "response_headers_to_add", "response_headers_to_remove", "host_rewrite_literal",
        "typed_per_filter_config",
      ],
      refused: ["metadata_match"])

    init(_ cursor: JSONCursor) throws(FieldError) {
      let message = try Message(cursor, Self.fields)
      guard let (kind, member) = try message.choice("name", "cluster_header") else {
        throw cursor.error("needs name or cluster_header")
      }
      name =
        kind == "name"
        ? .cluster(try ClusterReference(member)) : .header(try member.headerName(allowingPseudo: true))
      weight = try message.uint32("weight") ?? 0
      requestHeaders = try HeaderMutations(message, "request")
      responseHeaders = try HeaderMutations(message, "response")
      let host = try message.member("host_rewrite_literal")?.authority()
      hostRewrite = host == "" ? nil : host
      filters = try PerFilterConfigs(message)
    }
  }

  public let clusters: [Cluster]
  /// The sum of the weights; from 1 to 4294967295.
  public let totalWeight: UInt64
  /// A header, in lower case, with the random number to choose by, so that several proxies choose alike.
  public let randomHeader: String?

  static let fields = MessageFields(
    "envoy.config.route.v3.WeightedCluster", read: ["clusters", "total_weight", "header_name"],
    // There is no runtime that could override the weights.
    withoutEffect: ["runtime_key_prefix"], refused: ["use_hash_policy"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    clusters = try message.list("clusters", Cluster.init)
    totalWeight = clusters.reduce(0) { $0 + UInt64($1.weight) }
    guard (1...UInt64(UInt32.max)).contains(totalWeight) else {
      throw (message.member("clusters") ?? cursor).error("weights must add up to 1 to \(UInt32.max)")
    }
    if let total = try message.uint32("total_weight"), total != 0, UInt64(total) != totalWeight {
      throw try message.required("total_weight").error("is \(total), but the weights add up to \(totalWeight)")
    }
    let header = try message.string("header_name")
    randomHeader = header.isEmpty ? nil : try message.required("header_name").headerName()
  }

  /// The index of the cluster for a random number: the first whose weight and those before it exceed its remainder.
  public func choose(_ random: UInt64) -> Int {
    var rest = random % totalWeight
    for (index, cluster) in clusters.enumerated() {
      if rest < UInt64(cluster.weight) { return index }
      rest -= UInt64(cluster.weight)
    }
    return clusters.count - 1
  }
}
