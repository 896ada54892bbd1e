import JSON

/// A connection, and perhaps a request or a query on it, to be judged: `POST /v1/trace`.
public struct TraceRequest: NodeModel {
  /// `namespace/pod`, or an IP address.
  public let from: String
  public let to: String
  public let port: UInt16
  /// The name of a port of the destination's, instead of its number.
  public let portName: String?
  /// `TCP`, `UDP`, `SCTP`, `ICMP`.
  public let `protocol`: String
  /// nil asks about the connection alone.
  public let method: String?
  public let path: String?
  public let headers: [String: String]
  /// A name that is asked for on it, by DNS; comes before a request.
  public let query: String?
  /// A server's name that a TLS connection is opened for (SNI); comes before a query and a request.
  public let serverName: String?

  public init(
    from: String, to: String, port: UInt16, protocol: String = "TCP", method: String? = nil, path: String? = nil,
    headers: [String: String] = [:], query: String? = nil, serverName: String? = nil,
    portName: String? = nil
  ) {
    self.portName = portName
    self.from = from
    self.to = to
    self.port = port
    self.protocol = `protocol`
    self.method = method
    self.path = path
    self.headers = headers
    self.query = query
    self.serverName = serverName
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      from: try cursor.required("from").string(), to: try cursor.required("to").string(),
      port: try cursor.member("portName") == nil ? cursor.number("port") : 0,
      protocol: try cursor.optionalText("protocol") ?? "TCP",
      method: try cursor.optionalText("method"), path: try cursor.optionalText("path"),
      headers: try cursor.texts("headers"), query: try cursor.optionalText("query"),
      serverName: try cursor.optionalText("serverName"), portName: try cursor.optionalText("portName"))
  }

  public var json: JSONValue {
    .compact([
      "from": .string(from), "to": .string(to), "port": .number(port), "protocol": .string(`protocol`),
      "method": .text(method), "path": .text(path), "headers": .texts(headers), "query": .text(query),
      "serverName": .text(serverName), "portName": .text(portName),
    ])
  }
}

/// Who decided.
public struct RuleCitation: NodeModel {
  /// `CiliumNetworkPolicy default/l7-rule`.
  public let object: String
  /// `spec.ingress[0].toPorts[0].rules.http[0]`.
  public let path: String

  public init(object: String, path: String) {
    self.object = object
    self.path = path
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(object: try cursor.text("object"), path: try cursor.text("path"))
  }

  public var json: JSONValue {
    ["object": .string(object), "path": .string(path)]
  }
}

/// The verdict on a `TraceRequest`, and the steps that led to it.
public struct TraceResult: NodeModel {
  public enum Verdict: String, Hashable, Sendable, CaseIterable {
    case allowed
    case denied
    /// The connection goes through the proxy, which judges each request; nothing was asked about but the connection.
    case redirected
    /// A Service's backends are not judged alike.
    case mixed

    /// Whether a packet may be dropped, or a request refused.
    public var mayBeDenied: Bool { self == .denied || self == .mixed }
  }

  public struct Step: NodeModel {
    /// `service default/b` (and what is judged is one group of its backends), `egress of default/a`, `ingress of default/b`, `http`, `dns`, `tls`; where both ends' rules
    /// read along, `http of default/a`.
    public let stage: String
    public let verdict: Verdict
    /// A sentence: `no rule allows it`.
    public let reason: String
    /// nil where no rule decided.
    public let rule: RuleCitation?
    /// It is allowed for the sake of audit mode alone.
    public let isAudited: Bool

    public init(stage: String, verdict: Verdict, reason: String, rule: RuleCitation?, isAudited: Bool = false) {
      self.isAudited = isAudited
      self.stage = stage
      self.verdict = verdict
      self.reason = reason
      self.rule = rule
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        stage: try cursor.text("stage"), verdict: try cursor.choice("verdict"), reason: try cursor.text("reason"),
        rule: try cursor.member("rule").map { (rule) throws(FieldError) in try RuleCitation(decoding: rule) },
        isAudited: try cursor.member("audited")?.bool() ?? false)
    }

    public var json: JSONValue {
      .compact([
        "stage": .string(stage), "verdict": .string(verdict.rawValue), "reason": .string(reason),
        "rule": rule?.json ?? .null, "audited": isAudited ? true : .null,
      ])
    }
  }

  public let verdict: Verdict
  public let steps: [Step]

  public init(verdict: Verdict, steps: [Step]) {
    self.verdict = verdict
    self.steps = steps
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(verdict: try cursor.choice("verdict"), steps: try cursor.list("steps", Step.init(decoding:)))
  }

  public var json: JSONValue { ["verdict": .string(verdict.rawValue), "steps": steps.json] }
}
