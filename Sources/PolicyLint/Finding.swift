import JSON
import KubernetesAPI

/// Something that the author of a policy should know before it is applied.
public struct Finding: Hashable, Sendable {
  public enum Severity: String, Hashable, Sendable {
    /// The API refuses the object.
    case error
    /// It is valid, but probably does not do what its author wants.
    case warning
  }

  /// What was looked for; stable names, for those who filter.
  public enum Check: String, Hashable, Sendable, CaseIterable {
    /// The text is no YAML, or the object is not as its schema wants it.
    case schema
    /// Two objects of one kind, namespace and name.
    case nameClash = "name-clash"
    /// Valid, but not enforced as it is written.
    case notEnforced = "not-enforced"
    /// A rule, a selector or a pattern that nothing can match.
    case neverMatches = "never-matches"
    /// A rule that changes nothing, because another one says as much.
    case shadowed
    /// A rule that allows what another one denies.
    case denied
    /// Rules about requests beside a rule that allows the same port as a whole.
    case bypassed
    /// A path pattern that refuses every query string.
    case queryString = "query-string"
    /// A pattern that means something else than it looks like.
    case pattern
    /// A field that is read differently from how it looks.
    case misleading
    /// Pods that may open connections by name but may not ask for names.
    case dns
    /// A selector that selects no pod of the running cluster.
    case selectsNothing = "selects-nothing"
    /// A port on which no selected pod of the running cluster listens.
    case nobodyListens = "nobody-listens"
  }

  /// A field in a file.
  public struct Place: Hashable, Sendable {
    public let file: String
    public let position: SourcePosition
    /// `spec.ingress[0].toPorts[1]`; empty for a whole document.
    public let path: String

    public init(file: String, position: SourcePosition, path: String) {
      self.file = file
      self.position = position
      self.path = path
    }
  }

  public let severity: Severity
  public let check: Check
  public let place: Place
  /// `CiliumNetworkPolicy default/l7-rule`; nil where it has no name.
  public let object: ObjectKey?
  public let message: String
  /// What the message cites.
  public let related: [Place]

  public init(
    _ severity: Severity, _ check: Check, at place: Place, object: ObjectKey?, _ message: String,
    related: [Place] = []
  ) {
    self.severity = severity
    self.check = check
    self.place = place
    self.object = object
    self.message = message
    self.related = related
  }
}

extension Finding: CustomStringConvertible {
  /// `policy.yaml:12:5: warning: the port is named twice [spec.ingress[0]]`
  public var description: String {
    "\(place.file):\(place.position): \(severity.rawValue): \(message)" + (place.path.isEmpty ? "" : " [\(place.path)]")
  }

  public var json: JSONValue {
    var document = place.json
    document["severity"] = .string(severity.rawValue)
    document["check"] = .string(check.rawValue)
    document["message"] = .string(message)
    if let object { document["object"] = .string(object.description) }
    if !related.isEmpty { document["related"] = .array(related.map(\.json)) }
    return document
  }
}

extension Finding.Place {
  var json: JSONValue {
    [
      "file": .string(file), "line": .integer(Int64(position.line)), "column": .integer(Int64(position.column)),
      "path": .string(path),
    ]
  }
}
