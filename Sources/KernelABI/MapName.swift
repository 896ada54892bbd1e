/// The maps that the programs define (bpf/maps.h), by the names under which they are pinned and listed.
public enum MapName: String, Sendable, CaseIterable, CustomStringConvertible {
  case affinity = "martlet_affinity"
  case answer = "martlet_answer"
  case backends = "martlet_backends"
  case configuration = "martlet_config"
  case connections = "martlet_conntrack"
  case devices = "martlet_devices"
  case directReturns = "martlet_direct_returns"
  case endpoints = "martlet_endpoints"
  case events = "martlet_events"
  case fragments = "martlet_fragments"
  case frontends = "martlet_frontends"
  case ipcache = "martlet_ipcache"
  case listenerPorts = "martlet_listener_ports"
  case listeners = "martlet_listeners"
  case lost = "martlet_lost"
  case maglev = "martlet_maglev"
  case metrics = "martlet_metrics"
  case nat = "martlet_nat"
  case native = "martlet_native"
  case policy = "martlet_policy"
  case scratch = "martlet_scratch"
  case serviceSlots = "martlet_service_slots"
  case serviceTraffic = "martlet_service_traffic"
  case services = "martlet_services"
  case socketPeers = "martlet_socket_peers"
  case sockets = "martlet_sockets"
  case sourceRanges = "martlet_source_ranges"

  public var description: String { rawValue }

  /// Where it is pinned, given the folder of an instance's maps.
  public func pin(in folder: String) -> String { "\(folder)/\(rawValue)" }
}
