import JSON

/// `GET /v1/status`.
public struct AgentStatus: NodeModel {
  /// One line of `martlet status`.
  public struct Component: NodeModel {
    /// As users know it: `KubeProxyReplacement`.
    public let name: String
    public let ok: Bool
    /// `Disabled`, `OK, 2 probes`.
    public let message: String

    public init(name: String, ok: Bool, message: String) {
      self.name = name
      self.ok = ok
      self.message = message
    }

    public init(decoding cursor: JSONCursor) throws(FieldError) {
      self.init(
        name: try cursor.required("name").string(), ok: try cursor.flag("ok"), message: try cursor.text("message"))
    }

    public var json: JSONValue { ["name": .string(name), "ok": .bool(ok), "message": .string(message)] }
  }

  public let version: String
  public let nodeName: String
  public let pid: Int32
  /// RFC 3339.
  public let startedAt: String
  /// All that the agent was told is in the kernel.
  public let ready: Bool
  public let components: [Component]
  public let endpointCount: Int
  public let identityCount: Int
  public let policyCount: Int
  /// Grows with every change of the policies.
  public let policyRevision: Int64

  public init(
    version: String, nodeName: String, pid: Int32, startedAt: String, ready: Bool, components: [Component],
    endpointCount: Int, identityCount: Int, policyCount: Int, policyRevision: Int64
  ) {
    self.version = version
    self.nodeName = nodeName
    self.pid = pid
    self.startedAt = startedAt
    self.ready = ready
    self.components = components
    self.endpointCount = endpointCount
    self.identityCount = identityCount
    self.policyCount = policyCount
    self.policyRevision = policyRevision
  }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    self.init(
      version: try cursor.text("version"), nodeName: try cursor.text("nodeName"), pid: try cursor.number("pid"),
      startedAt: try cursor.text("startedAt"), ready: try cursor.flag("ready"),
      components: try cursor.list("components", Component.init(decoding:)),
      endpointCount: try cursor.number("endpointCount"), identityCount: try cursor.number("identityCount"),
      policyCount: try cursor.number("policyCount"), policyRevision: try cursor.number("policyRevision"))
  }

  public var json: JSONValue {
    [
      "version": .string(version), "nodeName": .string(nodeName), "pid": .number(pid),
      "startedAt": .string(startedAt), "ready": .bool(ready), "components": components.json,
      "endpointCount": .number(endpointCount), "identityCount": .number(identityCount),
      "policyCount": .number(policyCount), "policyRevision": .number(policyRevision),
    ]
  }
}
