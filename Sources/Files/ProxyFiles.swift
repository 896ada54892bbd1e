/// What the agent and the proxy of one node tell each other by: files that one of them replaces whole, and sockets of the
/// agent's. Neither needs the other to be alive. And where one proxy meets the next.
public struct ProxyFiles: Hashable, Sendable {
  public let folder: String

  public init(folder: String) { self.folder = folder }

  /// The name of `configuration` in the folder.
  public static let configurationName = "config.json"

  /// The rule sets, by the agent.
  public var configuration: String { "\(folder)/\(ProxyFiles.configurationName)" }
  /// The generation of the configuration that the proxy serves, by the proxy.
  public var generation: String { folder + "/generation" }
  /// Where the agent writes a file for each listener that routes: its number and `.json`.
  public var listeners: String { folder + "/listeners" }
  /// The number that a listener was given last, by the agent for the next one.
  public var listenerNumber: String { folder + "/listener-number" }
  public func listener(_ number: UInt32) -> String { "\(listeners)/\(number).json" }
  /// The name of `endpoints` in the folder.
  public static let endpointsName = "endpoints.json"
  /// The endpoints of the services that routes name, by the agent.
  public var endpoints: String { "\(folder)/\(ProxyFiles.endpointsName)" }
  /// Which listeners the proxy serves, and which it can not, by the proxy.
  public var listening: String { folder + "/listening.json" }
  /// How the endpoints are that it watches, by the proxy.
  public var health: String { folder + "/health.json" }
  /// Where access logs lie, in a folder for each namespace, by the proxy.
  public var accessLogs: String { folder + "/access-logs" }
  /// The identities of names that the proxy may use, by the agent.
  public var nameTable: String { folder + "/names.json" }
  /// What names were answered with while there was no agent, by the proxy.
  public var nameJournal: String { folder + "/names.journal" }
  /// Where the proxy tells the agent what became of requests.
  public var accessSocket: String { folder + "/access.sock" }
  /// Where a proxy waits for the one that takes its place.
  public var handoverSocket: String { folder + "/handover.sock" }
  /// The process id of the proxy that takes new connections, by the proxy.
  public var serving: String { folder + "/serving" }
  /// Where the proxy tells the agent what names were answered with.
  public var nameSocket: String { folder + "/names.sock" }
}
