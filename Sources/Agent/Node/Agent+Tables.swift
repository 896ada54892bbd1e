import Datapath
import Identity
import KernelABI
import KubernetesAPI

extension Agent {
  /// Removes expired connections, the sooner the faster the table fills, and at once when the kernel had to refuse one.
  func collectConnections() async {
    let table = datapath.connections
    let count = { @Sendable in try table.count() }
    await collect(.connections, count: count, capacity: table.capacity) { [tables] started in
      let found = try table.collectGarbage()
      tables.collected(
        .connections, live: found.live, expired: found.expired, evicted: found.evicted, took: .now - started)
      return [(found.live, table.capacity)]
    }
  }

  /// The same for translated connections, which also need source ports.
  func collectTranslations() async {
    let table = datapath.translations
    let ports = configuration.natPorts.count
    let count = { @Sendable in try table.count() }
    await collect(.nat, count: count, capacity: table.capacity) { [tables] started in
      let found = try table.collectGarbage()
      tables.collected(.nat, live: found.live, expired: found.expired, evicted: found.evicted, took: .now - started)
      return [(found.live, table.capacity), (found.ports, ports)]
    }
  }

  /// - Parameter body: collects, and returns how much of what there is has been left in use.
  private func collect(
    _ map: MapName, count: @Sendable () throws -> Int, capacity: Int,
    _ body: @Sendable (_ started: ContinuousClock.Instant) throws -> [(used: Int, of: Int)]
  ) async {
    var schedules: [CollectionSchedule] = []
    var last = ContinuousClock.now
    var refused = (try? datapath.counters.refusedConnections()) ?? 0
    while !Task.isCancelled {
      let started = ContinuousClock.now
      var pause = CollectionSchedule.longest
      do {
        let left = try body(started)
        let took = ContinuousClock.now - started
        if schedules.isEmpty { schedules = left.map { _ in CollectionSchedule() } }
        for (index, resource) in left.enumerated() {
          let wish = schedules[index].pause(
            live: resource.used, capacity: resource.of, elapsed: started - last, took: took)
          pause = min(pause, wish)
        }
        last = started
      } catch {
        logger.error("\(map) can not be collected: \(error)")
      }
      let wakeAt = ContinuousClock.now + pause
      while !Task.isCancelled, ContinuousClock.now < wakeAt {
        try? await Task.sleep(for: min(CollectionSchedule.shortest, wakeAt - .now))
        let refusals = (try? datapath.counters.refusedConnections()) ?? refused
        guard refusals > refused else { continue }
        refused = refusals
        // The kernel does not say which table had no room.
        guard let entries = try? count(), MapUsage(map: "", entries: entries, capacity: capacity).isNearlyFull else {
          continue
        }
        reportFull(map.rawValue, "new connections are dropped: \(map) has no room for them")
        break
      }
    }
  }

  /// Says when a table fills up, when there is room again, and which identities are denied meanwhile.
  func watchTables() async {
    var denied: [NumericIdentity: String] = [:]
    while !Task.isCancelled {
      let problems = await policy.problems
      for (identity, problem) in problems where denied[identity] != problem {
        record(.warning, "IdentityDenied", "identity \(identity) is denied all traffic: \(problem)")
      }
      for identity in denied.keys where problems[identity] == nil {
        record(.normal, "IdentityAdmitted", "the policy of identity \(identity) is in force")
      }
      denied = problems
      do {
        for usage in try await mapUsage() {
          let wasNearlyFull = tables.set(usage)
          if usage.isNearlyFull, !wasNearlyFull {
            let percent = Int(MapUsage.watermark * 100)
            reportFull(
              usage.map, "\(usage.map) is more than \(percent) % full, it can hold \(usage.capacity) entries")
          } else if !usage.isNearlyFull, wasNearlyFull {
            logger.notice("\(usage.map) has room again: \(usage.entries) of \(usage.capacity) entries")
            record(.normal, "TableHasRoom", "\(usage.map) has room again")
          }
        }
      } catch {
        logger.error("the tables can not be counted: \(error)")
      }
      try? await Task.sleep(for: .seconds(5))
    }
  }

  /// The tables that can run full.
  func mapUsage() async throws -> [MapUsage] { try datapath.mapUsage() + (await services.tables) }

  private func reportFull(_ map: String, _ message: String) {
    if tables.isToReport(map) { logger.warning("\(message)") }
    record(.warning, "TableFull", message)
  }

  /// About this node.
  private func record(_ kind: EventRecorder.Kind, _ reason: String, _ message: String) {
    events.record(
      EventRecorder.Entry(
        subject: ObjectKey(kind: Node.resource.kind, namespace: nil, name: configuration.nodeName),
        apiVersion: Node.resource.apiVersion, uid: configuration.nodeName, kind: kind, reason: reason, message: message)
    )
  }
}
