import JSON
import KubernetesAPI
import Policy

/// One object of a file, with where its fields were written and as much of its meaning as could be read.
struct LintObject {
  let file: String
  var value: JSONValue
  let key: ObjectKey?
  private let locations: SourceLocations
  /// Where the object is in its document: `items[2]` in a list, else empty.
  private let prefix: String
  /// nil for kinds that are no policy, and for what can not be decoded.
  var document: PolicyDocument?
  /// `spec` and `specs` of Cilium's kinds.
  var rules: [CiliumRule] = []
  var networkPolicy: NetworkPolicy?

  /// The objects of a document: one, or the items of a list.
  static func objects(of document: YAMLDocument, file: String) -> [LintObject] {
    func object(_ value: JSONValue, _ prefix: String) -> LintObject {
      LintObject(
        file: file, value: value, key: ObjectKey(of: value, kind: value["kind"]?.stringValue ?? ""),
        locations: document.locations, prefix: prefix)
    }
    guard let kind = document.value["kind"]?.stringValue, kind.hasSuffix("List"),
      let items = document.value["items"]?.arrayValue
    else { return [object(document.value, "")] }
    return items.enumerated().map { index, item in
      var item = item
      // A list of one kind need not repeat it in its items.
      if kind != "List" {
        if item["kind"] == nil { item["kind"] = .string(String(kind.dropLast(4))) }
        if item["apiVersion"] == nil { item["apiVersion"] = document.value["apiVersion"] }
      }
      return object(item, "items[\(index)]")
    }
  }

  private init(file: String, value: JSONValue, key: ObjectKey?, locations: SourceLocations, prefix: String) {
    self.file = file
    self.value = value
    self.key = key
    self.locations = locations
    self.prefix = prefix
  }

  func place(_ path: String) -> Finding.Place {
    let full = prefix.isEmpty || path.isEmpty ? prefix + path : "\(prefix).\(path)"
    return Finding.Place(file: file, position: locations[full], path: full)
  }

  /// The text or number that was written at a path.
  func written(_ path: String) -> JSONValue? {
    var value: JSONValue? = value
    for step in SourceLocations.steps(path) {
      value =
        Int(step).flatMap { index in value?.arrayValue.flatMap { $0.indices.contains(index) ? $0[index] : nil } }
        ?? value?[step]
    }
    return value
  }

  /// Reads what the object means; throws the field that is wrong.
  ///
  /// - Parameter context: what it can refer to.
  mutating func decode(in context: PolicyContext = PolicyContext()) throws(FieldError) {
    switch value["kind"]?.stringValue {
    case CiliumNetworkPolicy.resource.kind:
      let policy = try CiliumNetworkPolicy(value)
      (rules, document) = (policy.rules, PolicyDocument(policy, in: context))
    case CiliumClusterwideNetworkPolicy.resource.kind:
      let policy = try CiliumClusterwideNetworkPolicy(value)
      (rules, document) = (policy.rules, PolicyDocument(policy, in: context))
    case NetworkPolicy.resource.kind:
      let policy = try NetworkPolicy(value)
      (networkPolicy, document) = (policy, PolicyDocument(policy))
    default: break
    }
  }
}
