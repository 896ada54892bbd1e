/// The maps that the programs define (bpf/maps.h), by the names under which they are pinned and listed.
public enum MapName: String, Sendable, CaseIterable, CustomStringConvertible {
  case configuration = "martlet_config"
  case connections = "martlet_conntrack"
  case endpoints = "martlet_endpoints"
  case events = "martlet_events"
  case fragments = "martlet_fragments"
  case ipcache = "martlet_ipcache"
  case listeners = "martlet_listeners"
  case lost = "martlet_lost"
  case metrics = "martlet_metrics"
  case policy = "martlet_policy"

  public var description: String { rawValue }

  /// Where it is pinned, given the folder of an instance's maps.
  public func pin(in folder: String) -> String { "\(folder)/\(rawValue)" }
}
