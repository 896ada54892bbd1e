/// The field numbers of the kinds that kubectl's own commands (`create namespace`, `create secret` …) send as Protocol
/// Buffers, from the .proto files that the Kubernetes API publishes. A name with `/` is reached through a wrapper message.
enum ProtobufFields {
  /// Type -> field number -> field.
  static let types: [String: [Int: String]] = parse(
    """
    ObjectMeta name 1 generateName 2 namespace 3 uid 5 resourceVersion 6 generation 7 creationTimestamp 8 \
    deletionTimestamp 9 deletionGracePeriodSeconds 10 labels 11 annotations 12 ownerReferences 13 finalizers 14
    OwnerReference kind 1 name 3 uid 4 apiVersion 5 controller 6 blockOwnerDeletion 7
    Namespace metadata 1
    ConfigMap metadata 1 data 2 binaryData 3 immutable 4
    Secret metadata 1 data 2 type 3 stringData 4 immutable 5
    ServiceAccount metadata 1 secrets 2 imagePullSecrets 3 automountServiceAccountToken 4
    LocalObjectReference name 1
    ObjectReference kind 1 namespace 2 name 3 uid 4 apiVersion 5 resourceVersion 6 fieldPath 7
    Service metadata 1 spec 2
    ServiceSpec ports 1 selector 2 clusterIP 3 type 4 externalIPs 5 sessionAffinity 7 loadBalancerIP 8 \
    loadBalancerSourceRanges 9 externalName 10 externalTrafficPolicy 11 healthCheckNodePort 12 \
    publishNotReadyAddresses 13 sessionAffinityConfig 14 ipFamilyPolicy 17 clusterIPs 18 ipFamilies 19 \
    allocateLoadBalancerNodePorts 20 loadBalancerClass 21 internalTrafficPolicy 22 trafficDistribution 23
    SessionAffinityConfig clientIP 1
    ClientIPConfig timeoutSeconds 1
    ServicePort name 1 protocol 2 port 3 targetPort 4 nodePort 5 appProtocol 6
    Ingress metadata 1 spec 2
    IngressSpec defaultBackend 1 tls 2 rules 3 ingressClassName 4
    IngressBackend resource 3 service 4
    IngressServiceBackend name 1 port 2
    IngressServicePort name 1 number 2
    IngressTLS hosts 1 secretName 2
    IngressRule host 1 http/1 2
    IngressHTTP paths 1
    IngressPath path 1 backend 2 pathType 3
    TypedLocalObjectReference apiGroup 1 kind 2 name 3
    Lease metadata 1 spec 2
    LeaseSpec holderIdentity 1 leaseDurationSeconds 2 acquireTime 3 renewTime 4 leaseTransitions 5
    """)

  private static func parse(_ text: String) -> [String: [Int: String]] {
    var types: [String: [Int: String]] = [:]
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      guard let type = words.first else { continue }
      for index in stride(from: 1, to: words.count - 1, by: 2) {
        if let number = Int(words[index + 1]) { types[type, default: [:]][number] = words[index] }
      }
    }
    return types
  }
}
