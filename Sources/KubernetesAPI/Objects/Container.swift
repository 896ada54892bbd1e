import JSON

/// One process of a Pod.
public struct Container: Hashable, Sendable {
  public let name: String
  public let image: String
  public let command: [String]
  public let args: [String]
  /// In the order written, which matters where one refers to another; `valueFrom` is not resolved and left out.
  public let env: [EnvironmentVariable]
  public let workingDir: String?
  public let ports: [ContainerPort]

  init(_ cursor: JSONCursor) throws(FieldError) {
    name = try cursor.required("name").string()
    image = try cursor.member("image")?.string() ?? ""
    command = try cursor.strings("command") ?? []
    args = try cursor.strings("args") ?? []
    env =
      try cursor.list("env") { (variable) throws(FieldError) -> EnvironmentVariable? in
        guard try variable.member("valueFrom") == nil else { return nil }
        return EnvironmentVariable(
          name: try variable.required("name").string(), value: try variable.member("value")?.string() ?? "")
      }?.compactMap { $0 } ?? []
    workingDir = try cursor.member("workingDir")?.string()
    ports = try cursor.list("ports", ContainerPort.init) ?? []
  }
}

public struct EnvironmentVariable: Hashable, Sendable {
  public let name: String
  public let value: String

  public init(name: String, value: String) {
    self.name = name
    self.value = value
  }
}

/// A port that policies can call by its name.
public struct ContainerPort: Hashable, Sendable {
  public let name: String?
  public let containerPort: UInt16
  /// TCP where the object names none.
  public let `protocol`: L4Protocol

  init(_ cursor: JSONCursor) throws(FieldError) {
    name = try cursor.member("name")?.string()
    containerPort = try cursor.required("containerPort").integer(in: 1...UInt16.max)
    `protocol` = try cursor.transportProtocol()
  }
}

extension JSONCursor {
  /// The `protocol` of a port in a core kind: TCP, UDP or SCTP, TCP by default.
  func transportProtocol() throws(FieldError) -> L4Protocol {
    guard let member = try member("protocol"), case let name = try member.string(), !name.isEmpty else { return .tcp }
    guard let named = L4Protocol(rawValue: name), named.hasPorts, named != .any else {
      throw member.error("must be TCP, UDP or SCTP, is \"\(name)\"")
    }
    return named
  }
}
