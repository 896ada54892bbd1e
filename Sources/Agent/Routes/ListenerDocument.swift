import Balancing
import JSON
import KubernetesAPI
import Services

/// One listener of an object.
struct ListenerID: Hashable, Sendable, Comparable {
  let object: ObjectKey
  let listener: String

  static func < (left: ListenerID, right: ListenerID) -> Bool {
    (left.object, left.listener) < (right.object, right.listener)
  }
}

/// What the proxy is told of a listener: `proxy/listeners/<number>.json`.
struct ListenerDocument: Hashable, Sendable {
  let number: UInt32
  let id: ListenerID
  /// A hash of the rest.
  let generation: String
  let content: [UInt8]

  init(number: UInt32, _ id: ListenerID, _ configuration: EnvoyConfig) {
    self.number = number
    self.id = id
    var object: JSONValue = ["kind": .string(id.object.kind), "name": .string(id.object.name)]
    if let namespace = id.object.namespace { object["namespace"] = .string(namespace) }
    let head: JSONValue = [
      "number": .integer(Int64(number)), "object": object, "listener": .string(id.listener),
      "services": .array(configuration.services.map { .string("\($0)") }),
      "claims": .array(configuration.claims.filter { $0.listener == id.listener }.map(\.json)),
    ]
    let resources = configuration.resources.text
    let seed = head.serialized().withUnsafeBytes { XXHash64.hash($0) }
    generation = String(resources.withUnsafeBytes { XXHash64.hash($0, seed: seed) }, radix: 16)
    let members = (head.objectValue ?? [:]).sorted { $0.key < $1.key }.map { ($0.key, $0.value.serialized()) }
    content = JSONText.object(
      [("generation", JSONValue.string(generation).serialized())] + members + [("resources", resources)])
  }

  /// Whose listener a file of an earlier agent is; nil for what is none.
  static func owner(_ content: [UInt8]) -> (number: UInt32, id: ListenerID)? {
    guard let document = try? JSONValue(parsing: content), let listener = document["listener"]?.stringValue,
      let number = document["number"]?.integerValue.flatMap({ UInt32(exactly: $0) }), number > 0,
      let kind = document[path: "object", "kind"]?.stringValue,
      let name = document[path: "object", "name"]?.stringValue
    else { return nil }
    let key = ObjectKey(kind: kind, namespace: document[path: "object", "namespace"]?.stringValue, name: name)
    return (number, ListenerID(object: key, listener: listener))
  }
}

extension EnvoyConfig.Claim {
  fileprivate var json: JSONValue {
    ["service": .string("\(service)"), "ports": .array(ports.sorted().map { .integer(Int64($0)) })]
  }
}
