import Testing

/// One request of a policy's case, and whether it arrives.
struct Attempt: CustomStringConvertible {
  let source: Place
  let destination: Place
  let port: Int
  let arrives: Bool

  var description: String { "\(source) to \(destination):\(port) \(arrives ? "arrives" : "does not arrive")" }

  static func allowed(_ source: Place, _ destination: Place = .pod("ratings"), port: Int = 9080) -> Attempt {
    Attempt(source: source, destination: destination, port: port, arrives: true)
  }

  static func refused(_ source: Place, _ destination: Place = .pod("ratings"), port: Int = 9080) -> Attempt {
    Attempt(source: source, destination: destination, port: port, arrives: false)
  }
}

/// A policy's spec, and what becomes of requests while it is in force.
struct PolicyCase: CustomTestStringConvertible {
  let name: String
  var clusterwide = false
  /// `cilium.io/v2`'s, or Kubernetes' own.
  var isKubernetes = false
  let spec: String
  /// Manifests of what the policy refers to.
  var objects = ""
  let attempts: [Attempt]

  init(
    _ name: String, clusterwide: Bool = false, isKubernetes: Bool = false, spec: String, objects: String = "",
    _ attempts: Attempt...
  ) {
    self.isKubernetes = isKubernetes
    self.objects = objects
    self.name = name
    self.clusterwide = clusterwide
    self.spec = spec
    self.attempts = attempts
  }

  var testDescription: String { name }

  var manifest: String {
    let lines = spec.split(separator: "\n").map { "  " + $0 }.joined(separator: "\n")
    let kind =
      isKubernetes ? "NetworkPolicy" : clusterwide ? "CiliumClusterwideNetworkPolicy" : "CiliumNetworkPolicy"
    return """
      apiVersion: \(isKubernetes ? "networking.k8s.io/v1" : "cilium.io/v2")
      kind: \(kind)
      metadata:
        name: under-test
      spec:
      \(lines)
      """
  }
}

private let reviews = Place.pod("reviews")
private let sleep = Place.pod("sleep")
private let otherReviews = Place.podIn(namespace: "other", "reviews")
private let ratings = Place.pod("ratings")
private let details = Place.pod("details")
private let selectsRatings = "endpointSelector: {matchLabels: {app: ratings}}\n"
private let selectsReviews = "endpointSelector: {matchLabels: {app: reviews}}\n"

extension PolicyCase {
  static let subjects: [PolicyCase] = [
    PolicyCase(
      "matchLabels selects one app",
      spec: selectsRatings + "ingress: [{fromEndpoints: [{matchLabels: {app: reviews}}]}]",
      .allowed(reviews), .refused(sleep), .refused(otherReviews), .refused(.world), .allowed(sleep, details)),
    PolicyCase(
      "matchExpressions In and Exists",
      spec: """
        endpointSelector: {matchExpressions: [{key: app, operator: In, values: [ratings, cart]}]}
        ingress: [{fromEndpoints: [{matchExpressions: [{key: tier, operator: Exists}]}]}]
        """,
      .allowed(reviews), .refused(sleep), .allowed(sleep, details)),
    PolicyCase(
      "matchExpressions NotIn and DoesNotExist",
      spec: """
        endpointSelector: {matchExpressions: [{key: app, operator: NotIn, values: [details, reviews, sleep]}]}
        ingress: [{fromEndpoints: [{matchExpressions: [{key: tier, operator: DoesNotExist}]}]}]
        """,
      .allowed(sleep), .refused(reviews), .allowed(reviews, details)),
    PolicyCase(
      "an empty ingress section denies all",
      spec: selectsRatings + "ingress: [{}]",
      .refused(reviews), .refused(.world), .allowed(reviews, details)),
    PolicyCase(
      "the empty selector is the policy's own namespace",
      spec: selectsRatings + "ingress: [{fromEndpoints: [{}]}]",
      .allowed(reviews), .allowed(sleep), .refused(otherReviews), .refused(.world)),
  ]

  static let peers: [PolicyCase] = [
    PolicyCase(
      "fromEndpoints of another namespace",
      spec: selectsRatings + """
        ingress: [{fromEndpoints: [{matchLabels: {app: reviews, "k8s:io.kubernetes.pod.namespace": other}}]}]
        """,
      .allowed(otherReviews), .refused(reviews), .refused(sleep)),
    PolicyCase(
      "fromEntities host", spec: selectsRatings + "ingress: [{fromEntities: [host]}]",
      .allowed(.host), .refused(reviews), .refused(.world)),
    PolicyCase(
      "fromEntities world", spec: selectsRatings + "ingress: [{fromEntities: [world]}]",
      .allowed(.world), .refused(reviews)),
    PolicyCase(
      "fromEntities cluster", spec: selectsRatings + "ingress: [{fromEntities: [cluster]}]",
      .allowed(reviews), .allowed(otherReviews), .allowed(.host), .refused(.world)),
    PolicyCase(
      "fromEntities all", spec: selectsRatings + "ingress: [{fromEntities: [all]}]",
      .allowed(reviews), .allowed(.world), .allowed(.host)),
    PolicyCase(
      "fromCIDR", spec: selectsRatings + #"ingress: [{fromCIDR: ["192.0.2.0/24", "2001:db8::/64"]}]"#,
      .allowed(.world), .refused(reviews)),
    PolicyCase(
      "fromCIDR does not name pods", spec: selectsRatings + #"ingress: [{fromCIDR: ["0.0.0.0/0", "::/0"]}]"#,
      .allowed(.world), .refused(reviews), .refused(otherReviews)),
    PolicyCase(
      "fromCIDRSet except",
      spec: selectsRatings + """
        ingress:
          - fromCIDRSet:
              - {cidr: 192.0.2.0/24, except: [192.0.2.2/32]}
              - {cidr: "2001:db8::/64", except: ["2001:db8::2/128"]}
        """,
      .refused(.world), .refused(reviews)),
    PolicyCase(
      "toCIDRSet except",
      spec: selectsReviews + """
        egress:
          - toCIDRSet:
              - {cidr: 192.0.2.0/24, except: [192.0.2.2/32]}
              - {cidr: "2001:db8::/64", except: ["2001:db8::2/128"]}
        """,
      .allowed(reviews, .farWorld), .refused(reviews, .world), .refused(reviews, ratings),
      .allowed(sleep, .world)),
    PolicyCase(
      "toCIDR", spec: selectsReviews + #"egress: [{toCIDR: ["192.0.2.3/32", "2001:db8::3/128"]}]"#,
      .allowed(reviews, .farWorld), .refused(reviews, .world)),
    PolicyCase(
      "toEndpoints", spec: selectsReviews + "egress: [{toEndpoints: [{matchLabels: {app: ratings}}]}]",
      .allowed(reviews, ratings), .refused(reviews, details), .refused(reviews, .world), .allowed(sleep, details)),
    PolicyCase(
      "toEntities world", spec: selectsReviews + "egress: [{toEntities: [world]}]",
      .allowed(reviews, .world), .refused(reviews, ratings)),
  ]

  static let ports: [PolicyCase] = [
    PolicyCase(
      "toPorts", spec: selectsRatings + #"ingress: [{toPorts: [{ports: [{port: "9080", protocol: TCP}]}]}]"#,
      .allowed(reviews), .allowed(.world), .refused(reviews, port: 9090)),
    PolicyCase(
      "toPorts of one peer",
      spec: selectsRatings + """
        ingress:
          - fromEndpoints: [{matchLabels: {app: reviews}}]
            toPorts: [{ports: [{port: "9090"}]}]
        """,
      .allowed(reviews, port: 9090), .refused(reviews), .refused(sleep, port: 9090)),
    PolicyCase(
      "endPort", spec: selectsRatings + #"ingress: [{toPorts: [{ports: [{port: "9081", endPort: 9095}]}]}]"#,
      .allowed(reviews, port: 9090), .refused(reviews)),
    PolicyCase(
      "a named port", spec: selectsRatings + "ingress: [{toPorts: [{ports: [{port: http}]}]}]",
      .allowed(reviews), .refused(reviews, port: 9090)),
    PolicyCase(
      "a named port on egress",
      spec: selectsReviews + "egress: [{toEndpoints: [{}], toPorts: [{ports: [{port: http}]}]}]",
      .allowed(reviews), .refused(reviews, port: 9090)),
    PolicyCase(
      "another protocol's port",
      spec: selectsRatings + #"ingress: [{toPorts: [{ports: [{port: "9080", protocol: UDP}]}]}]"#,
      .refused(reviews)),
  ]

  static let denials: [PolicyCase] = [
    PolicyCase(
      "ingressDeny goes before ingress",
      spec: selectsRatings + """
        ingress: [{fromEntities: [all]}]
        ingressDeny: [{fromEndpoints: [{matchLabels: {app: sleep}}]}]
        """,
      .allowed(reviews), .allowed(.world), .refused(sleep)),
    PolicyCase(
      "ingressDeny of a port",
      spec: selectsRatings + """
        ingress: [{fromEntities: [all]}]
        ingressDeny: [{toPorts: [{ports: [{port: "9090", protocol: TCP}]}]}]
        """,
      .allowed(reviews), .refused(reviews, port: 9090), .refused(.world, port: 9090)),
    PolicyCase(
      "egressDeny goes before egress",
      spec: selectsReviews + """
        egress: [{toEntities: [all]}]
        egressDeny: [{toEndpoints: [{matchLabels: {app: ratings}}]}]
        """,
      .allowed(reviews, details), .allowed(reviews, .world), .refused(reviews), .allowed(sleep)),
    PolicyCase(
      "enableDefaultDeny false leaves the rest alone",
      spec: selectsRatings + """
        enableDefaultDeny: {ingress: false}
        ingress: [{fromEndpoints: [{matchLabels: {app: reviews}}]}]
        ingressDeny: [{fromEndpoints: [{matchLabels: {app: sleep}}]}]
        """,
      .allowed(reviews), .allowed(.world), .refused(sleep)),
    PolicyCase(
      "clusterwide selects across namespaces", clusterwide: true,
      spec: """
        endpointSelector: {matchLabels: {app: ratings}}
        ingress: [{fromEndpoints: [{matchLabels: {app: reviews}}]}]
        """,
      .allowed(reviews), .allowed(otherReviews), .refused(sleep), .refused(.world)),
    PolicyCase(
      "icmps alone let no TCP through",
      spec: selectsRatings + "ingress: [{icmps: [{fields: [{type: 8, family: IPv4}]}]}]",
      .refused(reviews)),
  ]
}
