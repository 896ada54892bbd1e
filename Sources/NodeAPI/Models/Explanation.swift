import JSON

/// Why a connection or a request is allowed or denied, in words: `POST /v1/why` with a ``TraceRequest``.
public struct Explanation: NodeModel {
  /// One end of the connection.
  public struct End: NodeModel {
    /// `default/web`, or the address.
    public let name: String
    public let address: String
    public let identity: UInt32
    /// With their source: `k8s:app=web`.
    public let labels: [String]
    /// DNS names that the address was answered for.
    public let names: [String]

    public init(name: String, address: String, identity: UInt32, labels: [String], names: [String] = []) {
      self.name = name
      self.address = address
      self.identity = identity
      self.labels = labels
      self.names = names
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        name: try cursor.text("name"), address: try cursor.text("address"), identity: try cursor.number("identity"),
        labels: try cursor.strings("labels"), names: try cursor.strings("names"))
    }

    public var json: JSONValue {
      [
        "name": .string(name), "address": .string(address), "identity": .number(identity),
        "labels": .array(labels.map { .string($0) }), "names": .array(names.map { .string($0) }),
      ]
    }
  }

  /// A rule that was looked at, and what it says of this connection or request.
  public struct Rule: NodeModel {
    public let path: String
    /// `allow`, `deny`, `proxy`: as the rule is written.
    public let effect: String
    /// Whether the connection or request is among those that the rule speaks of.
    public let matches: Bool
    /// `the peer matches app=web, the port matches 80/TCP`.
    public let reason: String

    public init(path: String, effect: String, matches: Bool, reason: String) {
      self.path = path
      self.effect = effect
      self.matches = matches
      self.reason = reason
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        path: try cursor.text("path"), effect: try cursor.text("effect"), matches: try cursor.flag("matches"),
        reason: try cursor.text("reason"))
    }

    public var json: JSONValue {
      ["path": .string(path), "effect": .string(effect), "matches": .bool(matches), "reason": .string(reason)]
    }
  }

  /// A policy that selects the end whose side this is.
  public struct Policy: NodeModel {
    /// `CiliumNetworkPolicy default/l7-rule`.
    public let object: String
    public let description: String
    public let deniesByDefault: Bool
    public let rules: [Rule]
    /// What of it is not enforced as it is written.
    public let problems: [String]

    public init(object: String, description: String, deniesByDefault: Bool, rules: [Rule], problems: [String]) {
      self.object = object
      self.description = description
      self.deniesByDefault = deniesByDefault
      self.rules = rules
      self.problems = problems
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        object: try cursor.text("object"), description: try cursor.text("description"),
        deniesByDefault: try cursor.flag("deniesByDefault"), rules: try cursor.list("rules", Rule.init(decoding:)),
        problems: try cursor.strings("problems"))
    }

    public var json: JSONValue {
      [
        "object": .string(object), "description": .string(description), "deniesByDefault": .bool(deniesByDefault),
        "rules": rules.json, "problems": .array(problems.map { .string($0) }),
      ]
    }
  }

  /// One side's part: the step of the trace, and the policies that had a say in it.
  public struct Stage: NodeModel {
    public let step: TraceResult.Step
    public let policies: [Policy]

    public init(step: TraceResult.Step, policies: [Policy]) {
      self.step = step
      self.policies = policies
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        step: try TraceResult.Step(decoding: try cursor.required("step")),
        policies: try cursor.list("policies", Policy.init(decoding:)))
    }

    public var json: JSONValue { ["step": step.json, "policies": policies.json] }
  }

  /// A change that would allow it.
  public struct Remedy: NodeModel {
    /// A sentence.
    public let text: String
    /// What to write, as YAML; nil where the sentence says it all.
    public let yaml: String?

    public init(text: String, yaml: String? = nil) {
      self.text = text
      self.yaml = yaml
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(text: try cursor.text("text"), yaml: try cursor.optionalText("yaml"))
    }

    public var json: JSONValue { .compact(["text": .string(text), "yaml": .text(yaml)]) }
  }

  public let verdict: TraceResult.Verdict
  public let source: End
  public let destination: End
  public let stages: [Stage]
  /// Empty when it is allowed.
  public let remedies: [Remedy]

  public init(
    verdict: TraceResult.Verdict, source: End, destination: End, stages: [Stage], remedies: [Remedy]
  ) {
    self.verdict = verdict
    self.source = source
    self.destination = destination
    self.stages = stages
    self.remedies = remedies
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      verdict: try cursor.choice("verdict"), source: try End(decoding: try cursor.required("source")),
      destination: try End(decoding: try cursor.required("destination")),
      stages: try cursor.list("stages", Stage.init(decoding:)),
      remedies: try cursor.list("remedies", Remedy.init(decoding:)))
  }

  public var json: JSONValue {
    [
      "verdict": .string(verdict.rawValue), "source": source.json, "destination": destination.json,
      "stages": stages.json, "remedies": remedies.json,
    ]
  }
}
