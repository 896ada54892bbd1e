import Addressing
import Datapath
import JSON
import NodeAPI
import Services

/// What the kernel's numbers of services mean; the numbers themselves when there is no agent that knows.
struct ServiceNumbers {
  private var names: [UInt32: String] = [:]

  init(_ instance: InstanceOptions) {
    let client = NodeClient(socketPath: instance.directory.agentSocket)
    for service in (try? client.get("/v1/services", listOf: ServiceModel.self)) ?? [] {
      for frontend in service.frontends {
        for number in [frontend.number, frontend.externalNumber] where number != 0 {
          names[number] = "\(service.namespace)/\(service.name)"
        }
      }
    }
  }

  private func name(_ number: UInt32) -> String { names[number] ?? String(number) }

  func document(_ frontend: FrontendListing) -> JSONValue {
    [
      "address": .string(frontend.key.address.description), "port": .integer(Int64(frontend.key.port)),
      "protocol": .string(frontend.key.protocol.description),
      "kinds": .array(frontend.kinds.names.map(JSONValue.string)),
      "cluster": frontend.cluster.map(document) ?? .null, "external": frontend.external.map(document) ?? .null,
    ]
  }

  private func document(_ balancing: FrontendListing.Balancing) -> JSONValue {
    [
      "number": .integer(Int64(balancing.number)), "service": names[balancing.number].map(JSONValue.string) ?? .null,
      "affinitySeconds": .integer(Int64(balancing.affinity)),
      "flags": .array(balancing.flags.map(JSONValue.string)),
      "sourceRanges": .array(balancing.sourceRanges.map { .string($0.description) }),
      "backends": .array(
        balancing.backends.map { backend in
          [
            "number": .integer(Int64(backend.number)),
            "address": backend.address.map { .string($0.address.description) } ?? .null,
            "port": backend.address.map { .integer(Int64($0.port)) } ?? .null,
            "isLocal": .bool(backend.isLocal), "slots": .integer(Int64(backend.slots)),
          ]
        }),
    ]
  }

  func table(_ frontends: [FrontendListing], wide: Bool) -> Table {
    var table = Table("FRONTEND", "KIND", "CLIENTS", "SERVICE", "FLAGS", "BACKENDS")
    for frontend in frontends {
      let isShared = frontend.external == frontend.cluster
      let kinds = frontend.kinds.names.joined(separator: ",")
      func add(_ clients: String, _ balancing: FrontendListing.Balancing?) {
        var flags = balancing?.flags ?? []
        if let seconds = balancing?.affinity, seconds > 0 { flags.append("affinity=\(seconds)s") }
        table.add(
          frontend.key.description, kinds, clients, balancing.map { name($0.number) } ?? "nothing",
          flags.isEmpty ? "-" : flags.joined(separator: ","), Self.text(balancing?.backends ?? [], wide: wide))
      }
      add(isShared ? "all" : "cluster", frontend.cluster)
      if !isShared, let external = frontend.external { add("others", external) }
    }
    return table
  }

  private static func text(_ backends: [FrontendListing.Backend], wide: Bool) -> String {
    let total = backends.reduce(0) { $0 + $1.slots }
    let words = backends.map { backend in
      let address = backend.address?.text ?? "nothing (\(backend.number))"
      // With weights, a backend has several slots.
      return total == backends.count ? address : "\(address) \(backend.slots)/\(total)"
    }
    if words.isEmpty { return "none" }
    let shown = wide ? words[...] : words.prefix(3)
    return shown.joined(separator: ", ") + (shown.count < words.count ? ", \(words.count - shown.count) more" : "")
  }

  func document(_ entry: AffinityListing) -> JSONValue {
    [
      "client": entry.client.map { .string($0.description) } ?? .null,
      "networkNamespaceCookie": entry.namespaceCookie.map { .integer(Int64(bitPattern: $0)) } ?? .null,
      "number": .integer(Int64(entry.service)), "service": names[entry.service].map(JSONValue.string) ?? .null,
      "backend": .integer(Int64(entry.backend)), "address": entry.address.map { .string($0.text) } ?? .null,
      "idleSeconds": .integer(Int64(entry.idle)), "expiresInSeconds": .integer(Int64(entry.secondsLeft)),
    ]
  }

  func table(_ entries: [AffinityListing]) -> Table {
    var table = Table("CLIENT", "SERVICE", "BACKEND", "IDLE", "EXPIRES")
    for entry in entries {
      table.add(
        entry.client?.description ?? "namespace \(entry.namespaceCookie ?? 0)", name(entry.service),
        entry.address?.text ?? "gone (\(entry.backend))", "\(entry.idle)s", "\(entry.secondsLeft)s")
    }
    return table
  }

  func document(_ table: MaglevListing) -> JSONValue {
    [
      "number": .integer(Int64(table.service)), "service": names[table.service].map(JSONValue.string) ?? .null,
      "size": .integer(Int64(table.size)),
      "backends": .array(
        table.shares.map { share in
          [
            "number": .integer(Int64(share.backend)), "address": share.address.map { .string($0.text) } ?? .null,
            "entries": .integer(Int64(share.entries)),
          ]
        }),
    ]
  }

  func table(_ tables: [MaglevListing]) -> Table {
    var rows = Table("SERVICE", "SIZE", "BACKEND", "ENTRIES", "SHARE")
    for table in tables {
      for share in table.shares {
        let permille = share.entries * 1000 / max(1, table.size)
        rows.add(
          name(table.service), String(table.size), share.address?.text ?? "gone (\(share.backend))",
          String(share.entries), "\(permille / 10).\(permille % 10) %")
      }
    }
    return rows
  }
}

extension BackendAddress {
  var text: String { "\(address.bracketed):\(port)" }
}
