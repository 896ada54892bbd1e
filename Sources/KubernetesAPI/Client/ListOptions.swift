import Labels

/// Which objects of a collection.
public struct ListOptions: Hashable, Sendable {
  public var labelSelector: LabelSelector?
  /// kubectl's syntax: `spec.nodeName=a`.
  public var fieldSelector: String?
  /// At most so many objects in one answer.
  public var limit: Int?
  /// From the previous answer.
  public var continuation: String?

  public init(
    labelSelector: LabelSelector? = nil, fieldSelector: String? = nil, limit: Int? = nil, continuation: String? = nil
  ) {
    self.labelSelector = labelSelector
    self.fieldSelector = fieldSelector
    self.limit = limit
    self.continuation = continuation
  }

  var query: [(String, String)] {
    var query: [(String, String)] = []
    if let labelSelector { query.append(("labelSelector", labelSelector.description)) }
    if let fieldSelector { query.append(("fieldSelector", fieldSelector)) }
    if let limit { query.append(("limit", String(limit))) }
    if let continuation { query.append(("continue", continuation)) }
    return query
  }
}

/// One answer to a list request.
public struct ObjectList<Object: Sendable>: Sendable {
  public let items: [Object]
  /// To watch from.
  public let resourceVersion: String
  /// nil on the last page.
  public let continuation: String?

  public init(items: [Object], resourceVersion: String, continuation: String? = nil) {
    self.items = items
    self.resourceVersion = resourceVersion
    self.continuation = continuation
  }
}

/// How a patch is written (Kubernetes, "Patch formats").
public enum PatchKind: Hashable, Sendable {
  /// RFC 7386.
  case merge
  /// RFC 6902.
  case json
  case strategic
  /// Server-side apply; `force` takes fields over from other managers.
  case apply(fieldManager: String, force: Bool)

  var contentType: String {
    switch self {
    case .merge: "application/merge-patch+json"
    case .json: "application/json-patch+json"
    case .strategic: "application/strategic-merge-patch+json"
    case .apply: "application/apply-patch+yaml"
    }
  }

  var query: [(String, String)] {
    if case .apply(let manager, let force) = self {
      [("fieldManager", manager), ("force", String(force))]
    } else {
      []
    }
  }
}

/// How an object goes.
public struct DeleteOptions: Hashable, Sendable {
  /// Seconds; nil leaves it to the object.
  public var gracePeriod: Int?
  /// Only this object, not another one of the same name.
  public var uid: String?
  public var resourceVersion: String?
  /// `Foreground`, `Background`, `Orphan`.
  public var propagationPolicy: String?

  public init(
    gracePeriod: Int? = nil, uid: String? = nil, resourceVersion: String? = nil, propagationPolicy: String? = nil
  ) {
    self.gracePeriod = gracePeriod
    self.uid = uid
    self.resourceVersion = resourceVersion
    self.propagationPolicy = propagationPolicy
  }
}
