private let reviews = Place.pod("reviews")
private let sleep = Place.pod("sleep")
private let otherReviews = Place.podIn(namespace: "other", "reviews")
private let ratings = Place.pod("ratings")
private let details = Place.pod("details")
private let selectsReviews = "endpointSelector: {matchLabels: {app: reviews}}\n"

/// An object of the core group, on one line.
private func object(
  _ kind: String, _ name: String, apiVersion: String = "v1", labels: String = "{}", _ members: String
) -> String {
  "{apiVersion: \(apiVersion), kind: \(kind), metadata: {name: \(name), labels: \(labels)}, \(members)}"
}

extension PolicyCase {
  /// Peers by reference; what is referred to is there before the policy.
  static let references: [PolicyCase] = [
    PolicyCase(
      "a group of blocks by its name",
      spec: selectsReviews + "egress: [{toCIDRSet: [{cidrGroupRef: partners}]}]",
      objects: object(
        "CiliumCIDRGroup", "partners", apiVersion: "cilium.io/v2",
        #"spec: {externalCIDRs: ["192.0.2.3/32", "2001:db8::3/128"]}"#),
      .allowed(reviews, .farWorld), .refused(reviews, .world), .refused(reviews, ratings)),
    PolicyCase(
      "groups of blocks by their labels, with an exception",
      spec: selectsReviews + """
        egress:
          - toCIDRSet:
              - cidrGroupSelector: {matchLabels: {role: partner}}
                except: ["192.0.2.2/32", "2001:db8::2/128"]
        """,
      objects: object(
        "CiliumCIDRGroup", "partners", apiVersion: "cilium.io/v2", labels: "{role: partner}",
        #"spec: {externalCIDRs: ["192.0.2.0/24", "2001:db8::/64"]}"#),
      .allowed(reviews, .farWorld), .refused(reviews, .world)),
    PolicyCase(
      "a Service with a selector is its pods",
      spec: selectsReviews + "egress: [{toServices: [{k8sService: {serviceName: ratings, namespace: default}}]}]",
      objects: object("Service", "ratings", "spec: {selector: {app: ratings}, ports: [{port: 80, targetPort: 9080}]}"),
      .allowed(reviews, ratings), .refused(reviews, details), .refused(reviews, .world)),
    PolicyCase(
      "a Service without a selector, by its labels, is its endpoints",
      spec: selectsReviews
        + "egress: [{toServices: [{k8sServiceSelector: {selector: {matchLabels: {role: partner}}}}]}]",
      objects: [
        object("Service", "partner", labels: "{role: partner}", "spec: {ports: [{port: 9080}]}"),
        object("Endpoints", "partner", "subsets: [{addresses: [{ip: 192.0.2.3}], ports: [{port: 9080}]}]"),
        object(
          "EndpointSlice", "partner-6", apiVersion: "discovery.k8s.io/v1",
          labels: "{kubernetes.io/service-name: partner}",
          #"addressType: IPv6, endpoints: [{addresses: ["2001:db8::3"]}], ports: [{port: 9080}]"#),
      ].joined(separator: "\n---\n"),
      .allowed(reviews, .farWorld), .refused(reviews, .world), .refused(reviews, ratings)),
    PolicyCase(
      "toEntities kube-apiserver",
      spec: selectsReviews + "egress: [{toEntities: [kube-apiserver]}]",
      objects: object(
        "Endpoints", "kubernetes",
        #"subsets: [{addresses: [{ip: 192.0.2.3}, {ip: "2001:db8::3"}], ports: [{port: 6443}]}]"#),
      .allowed(reviews, .farWorld), .refused(reviews, .world), .refused(reviews, ratings)),
    PolicyCase(
      "toNodes by their labels", spec: selectsReviews + "egress: [{toNodes: [{matchLabels: {zone: far}}]}]",
      objects: object(
        "CiliumNode", "far", apiVersion: "cilium.io/v2", labels: "{zone: far}",
        #"spec: {addresses: [{type: InternalIP, ip: 192.0.2.3}, {type: InternalIP, ip: "2001:db8::3"}]}"#),
      .allowed(reviews, .farWorld), .refused(reviews, .world), .refused(reviews, ratings)),
    PolicyCase(
      "toEntities remote-node is no longer world",
      spec: selectsReviews + "egress: [{toEntities: [world]}]",
      objects: object(
        "CiliumNode", "far", apiVersion: "cilium.io/v2",
        #"spec: {addresses: [{type: InternalIP, ip: 192.0.2.3}, {type: InternalIP, ip: "2001:db8::3"}]}"#),
      .refused(reviews, .farWorld), .allowed(reviews, .world)),
  ]

  /// Kubernetes' NetworkPolicy.
  static let kubernetes: [PolicyCase] = [
    PolicyCase(
      "podSelector, a named port", isKubernetes: true,
      spec: """
        podSelector: {matchLabels: {app: ratings}}
        ingress:
          - from: [{podSelector: {matchLabels: {app: reviews}}}]
            ports: [{port: http}]
        """,
      .allowed(reviews), .refused(reviews, port: 9090), .refused(sleep), .refused(otherReviews), .refused(.world),
      .allowed(.host), .allowed(sleep, details)),
    PolicyCase(
      "namespaceSelector", isKubernetes: true,
      spec: """
        podSelector: {matchLabels: {app: ratings}}
        ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}}]}]
        """,
      .allowed(otherReviews), .refused(reviews), .refused(.world)),
    PolicyCase(
      "ipBlock except, endPort", isKubernetes: true,
      spec: """
        podSelector: {matchLabels: {app: reviews}}
        policyTypes: [Egress]
        egress:
          - to:
              - ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.2/32]}
              - ipBlock: {cidr: "2001:db8::/64", except: ["2001:db8::2/128"]}
            ports: [{port: 9000, endPort: 9085}]
        """,
      .allowed(reviews, .farWorld), .refused(reviews, .world), .refused(reviews, ratings)),
    PolicyCase(
      "default deny of ingress", isKubernetes: true, spec: "podSelector: {}",
      .refused(reviews), .refused(.world), .allowed(.host), .allowed(reviews, .world)),
  ]
}
