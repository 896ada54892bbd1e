import Services

extension ServiceReconciler {
  /// Finds the numbers that an earlier process gave: a service's by its frontends, a backend's by the slots of its service.
  mutating func adopt(_ services: [CompiledService]) {
    guard !held.frontends.isEmpty else { return }
    var leading: [UInt32: [FrontendKey]] = [:]
    for (key, entry) in held.frontends {
      leading[entry.service, default: []].append(key)
      if entry.external != 0, entry.external != entry.service { leading[entry.external, default: []].append(key) }
    }
    // A number is adopted once: what one frontend leads to may be asked for by two Services today.
    var adopted: Set<UInt32> = []
    for service in services {
      var record = ServiceRecord()
      for frontend in service.frontends {
        guard let entry = held.frontends[frontend.key] else { continue }
        for (id, number) in [
          (frontend.cluster, entry.service), (frontend.external ?? frontend.cluster, entry.external),
        ]
        where record.balancers[id] == nil && held.services[number] != nil && adopted.insert(number).inserted {
          let isRanged = held.services[number]?.flags.contains(.sourceRanges) == true
          record.balancers[id] = ServiceRecord.Number(
            number: number, ranges: isRanged ? (held.ranges[number] ?? []).sorted() : nil)
          adoptBackends(of: number, id.port, &record, &adopted)
          for key in leading[number] ?? [] where owners[key] == nil {
            owners[key] = service.name
            record.frontends.insert(key)
          }
        }
      }
      if !record.isEmpty { records[service.name] = record }
    }
  }

  private func adoptBackends(
    of service: UInt32, _ port: PortID, _ record: inout ServiceRecord, _ adopted: inout Set<UInt32>
  ) {
    guard let table = held.services[service]?.table else { return }
    for number in held.slots[table] ?? [] {
      guard let backend = held.backends[number], backend.protocol == port.protocol,
        record.backends[port]?[backend.address] == nil, adopted.insert(number).inserted
      else { continue }
      record.backends[port, default: [:]][backend.address] = number
    }
  }

  /// Removes what no Service has: at once what clients can come to, later what they may be using.
  mutating func removeStrays(_ now: Instant) {
    remove(held.frontends.keys.filter { owners[$0] == nil }.map { .removeFrontend($0) })
    var services: Set<UInt32> = []
    var backends: Set<UInt32> = []
    for record in records.values {
      services.formUnion(record.balancers.values.map(\.number))
      services.formUnion(record.superseded)
      for ports in record.backends.values { backends.formUnion(ports.values) }
    }
    let known = Set(held.services.keys).union(held.maglev.keys).union(held.ranges.keys)
    for number in known.subtracting(services) { retirement.retire(.service(number), now) }
    let tables = Set(held.services.values.map(\.table))
    for table in held.slots.keys where !tables.contains(table) { retirement.retire(.table(table), now) }
    for number in held.backends.keys where !backends.contains(number) {
      retirement.retire(.backend(number, owner: nil), now)
    }
  }
}
