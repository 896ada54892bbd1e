import ArgumentParser
import NodeMetrics

/// Where metrics are served: what the flag says, else the environment's variable, else `fallback`.
func address(
  _ flag: String?, orOf variable: String, else fallback: MetricsAddress
) throws -> MetricsAddress {
  guard let text = flag ?? environment()[variable] else { return fallback }
  guard let address = MetricsAddress(text) else {
    throw ValidationError("\(flag == nil ? variable : "--metrics-address"): \"\(text)\" is not ADDRESS:PORT")
  }
  return address
}
