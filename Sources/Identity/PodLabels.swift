import Labels

/// Keys of the labels that are derived for every pod.
public enum WellKnownLabel {
  public static let namespace = "io.kubernetes.pod.namespace"
  public static let serviceAccount = "io.cilium.k8s.policy.serviceaccount"
  public static let cluster = "io.cilium.k8s.policy.cluster"
  /// Followed by the key of a label of the pod's namespace.
  public static let namespaceLabelPrefix = "io.cilium.k8s.namespace.labels."

  public static let namespaceKey = SelectorKey(source: .kubernetes, key: namespace)
  public static let clusterKey = SelectorKey(source: .kubernetes, key: cluster)
}

extension IdentityLabels {
  /// The labels that make the identity of a pod. Its own labels pass `isRelevant`; those that it could forge, because
  /// they are derived here, are ignored.
  public init(
    podLabels: LabelSet, namespace: String, namespaceLabels: LabelSet = [:], serviceAccount: String = "default",
    cluster: String = "default"
  ) {
    var labels = podLabels.filter { IdentityLabels.isRelevant($0.key) && !IdentityLabels.isDerived($0.key) }
    for (key, value) in namespaceLabels { labels[WellKnownLabel.namespaceLabelPrefix + key] = value }
    labels[WellKnownLabel.namespace] = namespace
    labels[WellKnownLabel.serviceAccount] = serviceAccount
    labels[WellKnownLabel.cluster] = cluster
    self.init(labels.map { SecurityLabel(source: .kubernetes, key: $0.key, value: $0.value) })
  }

  /// Whether a label with this key tells where a pod is, so that its author can not choose it.
  public static func isDerived(_ key: String) -> Bool {
    key == WellKnownLabel.namespace || key.hasPrefix("io.cilium.k8s.")
  }

  /// Whether a pod's label with this key distinguishes identities. Labels that differ from pod to pod of one workload do
  /// not; the list is the default that users of this API know ("Limiting Identity-Relevant Labels" in Cilium's
  /// documentation). Where both lists match, the longer included prefix wins over the shorter ignored one.
  public static func isRelevant(_ key: String) -> Bool {
    var ignored = ignoredPrefixes.lazy.filter(key.hasPrefix).map(\.utf8.count).min()
    // The one entry that matches inside of a key, so that `failure-domain.beta.kubernetes.io/zone` is meant too.
    if ignored == nil, key.contains("beta.kubernetes.io") { ignored = key.utf8.count }
    guard let ignored else { return true }
    return includedPrefixes.contains { key.hasPrefix($0) && $0.utf8.count > ignored }
  }

  private static let includedPrefixes = [
    WellKnownLabel.namespace, "io.cilium.k8s.namespace.labels", "app.kubernetes.io", WellKnownLabel.cluster,
  ]

  private static let ignoredPrefixes = [
    "io.kubernetes", "kubernetes.io", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
    "batch.kubernetes.io/job-completion-index", "k8s.io", "pod-template-generation", "pod-template-hash",
    "controller-revision-hash", "annotation", "etcd_node",
  ]
}
