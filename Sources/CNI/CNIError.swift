import JSON

/// A failure as the specification's error object tells it to the container runtime (CNI 1.1.0, "Error").
public struct CNIError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The well-known codes; 100 and above belong to the plugin.
  public enum Code: Int64, Sendable, CaseIterable {
    case incompatibleVersion = 1
    case unsupportedField = 2
    case unknownContainer = 3
    case invalidEnvironment = 4
    case ioFailure = 5
    case undecodable = 6
    case invalidConfiguration = 7
    case tryAgainLater = 11
    case unavailable = 50
    case limitedConnectivity = 51
    /// The agent refused or failed the request.
    case agentFailure = 100
  }

  public let code: Code
  public let message: String
  public let details: String

  public init(_ code: Code, _ message: String, details: String = "") {
    self.code = code
    self.message = message
    self.details = details
  }

  public var description: String { details.isEmpty ? message : "\(message): \(details)" }

  /// The error object; `version` is what the caller named, even one that the plugin does not speak.
  public func json(version: String) -> JSONValue {
    var object: JSONValue = [
      "cniVersion": .string(version), "code": .integer(code.rawValue), "msg": .string(message),
    ]
    if !details.isEmpty { object["details"] = .string(details) }
    return object
  }
}
