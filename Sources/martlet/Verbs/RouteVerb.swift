import ArgumentParser
import Files
import JSON
import Proxy

struct RouteVerb: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "route", abstract: "How this node's proxy routes requests, by CiliumEnvoyConfigs.",
    discussion: "Example: martlet route why GET http://reviews:9080/ -H 'end-user: jason'",
    subcommands: [List.self, RouteWhy.self], defaultSubcommand: List.self)

  struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "List the listeners that services' traffic is led to.",
      discussion:
        "Read from the files that agent and proxy share, so neither needs to be there.\nExample: martlet route list -o wide"
    )

    @OptionGroup var instance: InstanceOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
      let routes = try RouteFolder(instance)
      output.print(.array(routes.states.map(routes.json))) { wide in
        let columns = ["LISTENER", "OBJECT", "SERVICES", "HOSTS", "ROUTES", "CLUSTERS", "STATE"]
        var table = Table(columns)
        for state in routes.states {
          guard let listener = state.listener else {
            table.add(["\(state.number)", "-", "-", "-", "-", "-", routes.word(state)])
            continue
          }
          let clusters = listener.allClusters.map { "\($0.name) (\(routes.count($0, listener)))" }
          table.add([
            "\(state.number) \(listener.name)", listener.object, text(listener.services, wide),
            "\(listener.table.configuration.virtualHosts.count)", "\(RouteVerb.routeCount(listener))",
            text(clusters, wide), routes.word(state),
          ])
        }
        return table.text
      }
    }

    private func text(_ words: [String], _ wide: Bool) -> String {
      let shown = wide ? words[...] : words.prefix(3)
      let more = words.count > shown.count ? ", \(words.count - shown.count) more" : ""
      return words.isEmpty ? "none" : shown.joined(separator: ", ") + more
    }
  }

  static func routeCount(_ listener: RoutedListener) -> Int {
    listener.table.configuration.virtualHosts.reduce(0) { $0 + $1.routes.count }
  }
}

/// What the agent and the proxy of an instance have written about routes.
struct RouteFolder {
  let states: [ListenerState]
  let health: HealthReport?
  private let answer: ListeningAnswer?

  /// Ends the program with exit code 3 where there is no instance, and 1 where its files can not be read.
  init(_ instance: InstanceOptions) throws {
    let directory = instance.directory
    guard StateFiles.exists(directory.proxy.folder) else {
      complain("there is no \(directory.proxy.folder)")
      complain("is `martlet up` running? --state-dir or $MARTLET_STATE_DIR names its directory")
      throw Exit.unreachable
    }
    do {
      states = try RouteBook(directory.proxy).states
      answer = try ListeningAnswer(directory.proxy)
      health = try HealthReport(directory.proxy)
    } catch {
      complain("\(error)")
      throw Exit.no
    }
  }

  /// Whether the proxy serves a listener as its file has it.
  func word(_ state: ListenerState) -> String {
    if let rejection = answer?.rejected[state.number] ?? state.rejection {
      let serves = answer?.listeners[state.number] != nil
      return "rejected" + (serves ? ", an earlier version serves" : "") + ": \(rejection.reason)"
    }
    guard let served = answer?.listeners[state.number] else { return "the proxy has not taken it up" }
    return served == state.generation ? "OK" : "the proxy still has an earlier version"
  }

  /// `3`, or `2 of 3` where not all are healthy.
  func count(_ cluster: RoutedCluster, _ listener: RoutedListener) -> String {
    let endpoints = cluster.standings(health, of: listener.object)
    let healthy = endpoints.count { $0.health == "healthy" }
    return healthy == endpoints.count ? "\(healthy)" : "\(healthy) of \(endpoints.count)"
  }

  func json(_ state: ListenerState) -> JSONValue {
    var document: JSONValue = ["number": .integer(Int64(state.number)), "state": .string(word(state))]
    guard let listener = state.listener else { return document }
    document["object"] = .string(listener.object)
    document["listener"] = .string(listener.name)
    document["services"] = .array(listener.services.map { .string($0) })
    document["virtualHosts"] = .integer(Int64(listener.table.configuration.virtualHosts.count))
    document["routes"] = .integer(Int64(RouteVerb.routeCount(listener)))
    document["filters"] = .array(listener.manager.filters.map { .string($0.name) })
    document["clusters"] = .array(
      listener.allClusters.map { cluster in
        let endpoints = cluster.standings(health, of: listener.object)
        return [
          "name": .string(cluster.name), "endpoints": .integer(Int64(endpoints.count)),
          "healthy": .integer(Int64(endpoints.count { $0.health == "healthy" })),
          // Those that there is something to say about.
          "health": .array(endpoints.filter { $0.health != "healthy" || !$0.reasons.isEmpty }.map(\.json)),
          "panic": .bool(health?.cluster(cluster.name, of: listener.object)?.isPanicking ?? cluster.isPanicking),
          "balancing": .string(cluster.balancing),
        ]
      })
    return document
  }
}
