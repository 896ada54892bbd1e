import JSON
import Testing

/// What is shown of Services, compared with what there is.
extension EndToEnd.ServiceTests {
  @Test func `the kernel's tables are listed as the agent says they are`() throws {
    let node = try SharedNode.node
    let listed = try node.martlet("bpf", "lb", "list", "-o", "json").json().arrayValue ?? []
    var rows: [String: JSONValue] = [:]
    for row in listed {
      rows["\(row["address"] ?? .null) \(row["port"] ?? .null) \(row["protocol"] ?? .null)"] = row
    }
    #expect(rows.count == listed.count && !rows.isEmpty)
    var known = 0
    for service in try node.martlet("service", "list", "-o", "json").json().arrayValue ?? [] {
      for frontend in service["frontends"]?.arrayValue ?? [] {
        known += 1
        let key = "\(frontend["address"] ?? .null) \(frontend["port"] ?? .null) \(frontend["protocol"] ?? .null)"
        let row = try #require(rows[key], "\(frontend.text()) is not in the kernel")
        let cluster = row["cluster"]
        #expect(cluster?["number"] == frontend["number"] && row["kinds"] == frontend["kinds"], "\(row.text())")
        #expect(cluster?["service"]?.stringValue == "default/\(service["name"]?.stringValue ?? "")")
        let backends = (cluster?["backends"]?.arrayValue ?? []).map { backend in
          let address = backend["address"]?.stringValue ?? ""
          let port = backend["port"]?.integerValue ?? 0
          return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
        }
        #expect(Set(backends) == Set((frontend["backends"]?.arrayValue ?? []).compactMap(\.stringValue)))
      }
    }
    #expect(known == rows.count)
    let text = try node.martlet("bpf", "lb", "list").output
    #expect(text.contains("default/web") && text.contains("0.0.0.0:30080/TCP"), "\(text)")
  }

  @Test func `the status says once what is balanced`() throws {
    let components = try SharedNode.node.martlet("status", "-o", "json").json()["components"]?.arrayValue ?? []
    let names = components.compactMap { $0["name"]?.stringValue }
    #expect(names.contains("KubeProxyReplacement") && Set(names).count == names.count, "\(names)")
    #expect(components.filter { $0["ok"] != true } == [])
  }

  @Test func `backends, clients and tables are listed`() throws {
    let node = try SharedNode.node
    func list(_ section: String) throws -> [JSONValue] {
      let outcome = try node.martlet("bpf", "lb", "list", section, "-o", "json")
      #expect(try node.martlet("bpf", "lb", "list", section).status == 0)
      return try outcome.json().arrayValue ?? []
    }
    let address = try node.address(of: .pod("web-1"), .ipv4)
    // What other tests have left goes within a second.
    var backends: [JSONValue] = []
    let isListed = try eventually(within: 20) {
      backends = try list("--backends").filter { $0["address"]?.stringValue == address }
      return !backends.isEmpty && backends.allSatisfy { $0["isLocal"] == true && $0["slots"] == 1 }
    }
    #expect(isListed, "\(backends)")
    var clients: [JSONValue] = []
    let isKept = try eventually(within: 20) {
      _ = try node.ask(node.clusterIP("sticky", .ipv4), 8001, from: .pod("client"))
      clients = try list("--affinity").filter { $0["service"] == "default/sticky" }
      return clients.contains { $0["networkNamespaceCookie"] != .null && $0["expiresInSeconds"] != 0 }
    }
    #expect(isKept, "\(clients)")
    let tables = try list("--maglev")
    #expect(tables.count == 2, "one for each family: \(tables)")
    for table in tables {
      #expect(table["service"] == "default/hashed" && table["size"] == 16381)
      let entries = (table["backends"]?.arrayValue ?? []).compactMap { $0["entries"]?.integerValue }
      #expect(entries.count == 3 && entries.reduce(0, +) == 16381 && entries.allSatisfy { abs($0 - 5460) < 60 })
    }
    let both = try node.martlet("bpf", "lb", "list", "--backends", "--maglev")
    #expect(both.status != 0, "\(both)")
  }
}
