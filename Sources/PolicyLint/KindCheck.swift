/// Kinds that are misspelt: an API server would refuse them, and nothing else here would look at them.
enum KindCheck {
  /// What the groups of policies have, apart from policies.
  private static let known: [String: Set<String>] = [
    "cilium.io": [
      "CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy", "CiliumCIDRGroup", "CiliumIdentity", "CiliumEndpoint",
      "CiliumEndpointSlice", "CiliumNode", "CiliumNodeConfig", "CiliumExternalWorkload", "CiliumLocalRedirectPolicy",
      "CiliumEgressGatewayPolicy", "CiliumEnvoyConfig", "CiliumClusterwideEnvoyConfig", "CiliumGatewayClassConfig",
      "CiliumLoadBalancerIPPool", "CiliumL2AnnouncementPolicy", "CiliumPodIPPool", "CiliumBGPPeeringPolicy",
      "CiliumBGPClusterConfig", "CiliumBGPPeerConfig", "CiliumBGPAdvertisement", "CiliumBGPNodeConfig",
      "CiliumBGPNodeConfigOverride",
    ],
    "networking.k8s.io": [
      "NetworkPolicy", "Ingress", "IngressClass", "IPAddress", "ServiceCIDR", "ClusterCIDR",
    ],
  ]

  /// What is wrong with a kind that no schema is known of; nil where it may well be one.
  static func problem(kind: String, apiVersion: String) -> String? {
    let group = apiVersion.split(separator: "/").dropLast().first.map(String.init) ?? ""
    guard let kinds = known[group], !kinds.contains(kind) else { return nil }
    let nearest = kinds.sorted().min { distance($0, kind) < distance($1, kind) }
    let hint = nearest.flatMap { distance($0, kind) * 3 <= $0.count ? "; did you mean \($0)?" : nil } ?? ""
    return "there is no kind \"\(kind)\" in \(group)\(hint)"
  }

  /// Levenshtein's, of the words in small letters.
  static func distance(_ one: String, _ other: String) -> Int {
    let (one, other) = (Array(one.lowercased().utf8), Array(other.lowercased().utf8))
    var row = Array(0...other.count)
    for (i, byte) in one.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, wanted) in other.enumerated() {
        let replaced = diagonal + (byte == wanted ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[other.count]
  }
}
