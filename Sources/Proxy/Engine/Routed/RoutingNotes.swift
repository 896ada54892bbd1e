import Routing

/// What an access record says of a request's route.
struct RoutingNotes {
  var listener: UInt32
  /// The backend, or the address that the client connected to.
  var server: SocketAddress
  var sourceIdentity: UInt32
  var destinationIdentity: UInt32
  var choice: RouteChoice?
  var cluster: String
  var dropReason: UInt16
  var retries: UInt16
  /// Of the span that the proxy has made; nil for none.
  var traceID: TraceID?

  /// Writes the names of route and cluster, one behind the other, each cut to `AccessLog.maximumText` octets.
  /// - Returns: how many octets of each.
  func write(to memory: UnsafeMutableRawPointer) -> (route: Int, cluster: Int) {
    let base = memory.assumingMemoryBound(to: UInt8.self)
    var route = HeadWriter(base, capacity: AccessLog.maximumText)
    if let choice, choice.route.name.isEmpty {
      route.put(choice.virtualHost.name.utf8.prefix(AccessLog.maximumText - 24))
      route.put("[")
      route.put(decimal: choice.routeIndex)
      route.put("]")
    } else if let choice {
      route.put(choice.route.name.utf8.prefix(AccessLog.maximumText))
    }
    var name = HeadWriter(base + route.count, capacity: AccessLog.maximumText)
    name.put(cluster.utf8.prefix(AccessLog.maximumText))
    return (route.count, name.count)
  }
}
