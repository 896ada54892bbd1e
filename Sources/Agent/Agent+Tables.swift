import Datapath
import Identity
import KernelABI
import KubernetesAPI

extension Agent {
  /// Removes expired connections, the sooner the faster the table fills, and at once when the kernel had to refuse one.
  func collectConnections() async {
    var schedule = CollectionSchedule()
    var last = ContinuousClock.now
    var refused = (try? datapath.counters.refusedConnections()) ?? 0
    while !Task.isCancelled {
      let started = ContinuousClock.now
      var pause = CollectionSchedule.longest
      do {
        let collection = try datapath.connections.collectGarbage()
        let now = ContinuousClock.now
        pause = schedule.pause(
          live: collection.live, capacity: datapath.connections.capacity, elapsed: started - last, took: now - started)
        tables.collected(collection, took: now - started)
        last = started
      } catch {
        logger.error("the connection table can not be collected: \(error)")
      }
      let wakeAt = ContinuousClock.now + pause
      while !Task.isCancelled, ContinuousClock.now < wakeAt {
        try? await Task.sleep(for: min(CollectionSchedule.shortest, wakeAt - .now))
        let count = (try? datapath.counters.refusedConnections()) ?? refused
        if count > refused {
          refused = count
          let map = MapName.connections.rawValue
          reportFull(map, "new connections are dropped: \(map) has no room for them")
          break
        }
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
