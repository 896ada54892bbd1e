import ArgumentParser
import NodeMetrics

/// Where a process of the node serves its metrics.
enum MetricsOption: String {
  case agent = "MARTLET_AGENT_METRICS"
  case proxy = "MARTLET_PROXY_METRICS"

  private var fallback: MetricsAddress {
    switch self {
    case .agent: .agent
    case .proxy: .proxy
    }
  }

  /// What the environment's variable says; nil when it is not there.
  func address() throws -> MetricsAddress? {
    try environment()[rawValue].map { try MetricsOption.parse($0, rawValue) }
  }

  /// What the flag says, else the environment's variable, else what is usual.
  func address(_ flag: String?) throws -> MetricsAddress {
    try flag.map { try MetricsOption.parse($0, "--metrics-address") } ?? address() ?? fallback
  }

  private static func parse(_ text: String, _ name: String) throws -> MetricsAddress {
    guard let address = MetricsAddress(text) else { throw ValidationError("\(name): \"\(text)\" is not ADDRESS:PORT") }
    return address
  }
}
