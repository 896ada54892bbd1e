import JSON
import TestSupport
import Testing

@testable import Routing

/// Decoding by what has changed must give what decoding all of it gives.
@Suite struct IncrementalTests {
  private func route(_ index: Int, _ cluster: String) -> JSONValue {
    switch index % 4 {
    case 0:
      [
        "match": ["prefix": .string("/p\(index)")], "route": ["cluster": .string(cluster)],
        // The names of a map's keys are those of the parts that are left out.
        "typed_per_filter_config": ["routes": filter(cluster), "virtual_hosts": filter("x")],
      ]
    case 1: ["match": ["safe_regex": ["regex": .string("/r\(index)/[a-z]+")]], "route": ["cluster": .string(cluster)]]
    case 2: ["match": ["path": .string("/e\(index)")], "redirect": ["path_redirect": .string("/\(cluster)")]]
    default:
      [
        "match": ["prefix": "/", "headers": [["name": "h", "exact_match": .string("\(index)")]]],
        "direct_response": ["status": 418, "body": ["inline_string": .string(cluster)]],
      ]
    }
  }

  private func filter(_ text: String) -> JSONValue {
    [
      "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
      "mutations": ["request_mutations": [["append": ["header": ["key": "x", "value": .string(text)]]]]],
    ]
  }

  private struct Model {
    var hosts: [[Int]]
    var versions: [Int: Int] = [:]
    var isNamed: Bool
    var limit: Int64 = 4096
  }

  private func document(_ model: Model) -> JSONValue {
    let hosts = model.hosts.enumerated().map { index, routes -> JSONValue in
      [
        "name": .string("host\(routes.first ?? -index)"), "domains": [.string("h\(routes.first ?? -index).example")],
        "routes": .array(routes.map { route($0, "c\(model.versions[$0] ?? 0)") }),
        "typed_per_filter_config": ["f": filter("v\(routes.reduce(0) { $0 + (model.versions[$1] ?? 0) } / 3)")],
      ]
    }
    var routes: JSONValue = [
      "name": "routes", "virtual_hosts": .array(hosts), "max_direct_response_body_size_bytes": .integer(model.limit),
    ]
    guard model.isNamed else { return [listener(routes)] }
    routes["@type"] = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    return [listener(.null, manager: ["rds": ["routeConfigName": "routes"]]), routes]
  }

  private func change(_ model: inout Model, _ next: inout Int, _ random: inout SeededGenerator) {
    let host = Int.random(in: model.hosts.indices, using: &random)
    switch Int.random(in: 0..<8, using: &random) {
    case 0:
      model.hosts[host].insert(next, at: Int.random(in: 0...model.hosts[host].count, using: &random))
      next += 1
    case 1 where model.hosts[host].count > 1:
      model.hosts[host].remove(at: Int.random(in: model.hosts[host].indices, using: &random))
    case 2:
      model.hosts.insert([next], at: Int.random(in: 0...model.hosts.count, using: &random))
      next += 1
    case 3 where model.hosts.count > 1: model.hosts.remove(at: host)
    case 4: model.hosts[host].shuffle(using: &random)
    case 5: model.isNamed.toggle()
    case 6: model.limit = model.limit == 4096 ? 5000 : 4096
    default:
      if let route = model.hosts[host].randomElement(using: &random) { model.versions[route, default: 0] += 1 }
    }
  }

  @Test(arguments: 0..<20) func `is the same as decoding all of it`(_ seed: Int) throws {
    var random = SeededGenerator(seed: seed)
    var model = Model(hosts: [[0, 1, 2, 3], [4, 5], [6]], isNamed: seed.isMultiple(of: 2))
    var next = 7
    var previous: ResourceTexts?
    var table: RouteTable?
    for _ in 0..<40 {
      for _ in 0...Int.random(in: 0...2, using: &random) { change(&model, &next, &random) }
      // What stands before it moves all of it.
      let padding = String(repeating: " ", count: Int.random(in: 0...3, using: &random))
      let text = Array(padding.utf8) + document(model).serialized()
      let whole = try EnvoyResources(JSONCursor(JSONValue(parsing: text), path: "resources"))
      let parts = try ResourceTexts(text, in: text.indices, path: "resources", reusing: previous)
      #expect(parts.resources == whole)
      #expect(!parts.parts.isEmpty)
      let routes = try #require(whole.routes(of: whole.listeners[0]))
      let fresh = try RouteTable(routes)
      let kept = try RouteTable(try #require(parts.resources.routes(of: parts.resources.listeners[0])), reusing: table)
      for host in ["x.example"] + routes.virtualHosts.map({ $0.domains[0] }) {
        for path in (0..<next).flatMap({ ["/p\($0)", "/r\($0)/ab", "/e\($0)"] }) {
          let headers = [("h", String(path.filter(\.isNumber)))]
          #expect(
            kept.decision(path, headers, host: host) == fresh.decision(path, headers, host: host), "\(host)\(path)")
        }
      }
      previous = parts
      table = kept
    }
  }

  @Test func `only what differs is decoded`() throws {
    var model = Model(hosts: [Array(0..<50), Array(50..<100)], isNamed: true)
    func texts(_ previous: ResourceTexts?) throws -> ResourceTexts {
      let text = document(model).serialized()
      return try ResourceTexts(text, in: text.indices, path: "resources", reusing: previous)
    }
    func routes(_ texts: ResourceTexts) -> [Route] {
      texts.resources.routeConfigurations["routes"]?.virtualHosts.flatMap(\.routes) ?? []
    }
    let first = try texts(nil)
    model.versions[20] = 1
    model.versions[30] = 1
    let second = try texts(first)
    #expect(
      zip(routes(first), routes(second)).enumerated().filter { $0.element.0 !== $0.element.1 }.map(\.offset) == [
        20, 30,
      ])
    model.hosts[0].insert(100, at: 10)
    let third = try texts(second)
    #expect(routes(third).filter { route in !routes(second).contains { $0 === route } }.count == 1)
    #expect(
      third.resources.routeConfigurations["routes"]?.virtualHosts[1]
        === second.resources.routeConfigurations["routes"]?.virtualHosts[1])
  }

  @Test(arguments: [
    #""virtual_hosts":[{"name":"a","domains":["a"],"routes":{}}]"#, #""virtual_hosts":7"#, #""virtual_hosts":null"#,
    #""virtual_hosts":[],"virtualHosts":[]"#, #""virtual_hosts":[1]"#,
    #""virtual_hosts":[{"name":"a","domains":["a"],"routes":[{"match":{"prefix":"/"}}]}]"#,
    #""virtual_hosts":[{"name":"a","domains":["a"],"routes":[{"match":{"prefix":"/"},"x":tru}]}]"#,
    #""virtual_hosts":[{"name":"a","domains":["a"],"routes":[],"metadata":{"routes":[}]"#,
  ])
  func `errors are those of the whole`(_ members: String) {
    let text = Array(
      #"[{"@type":"type.googleapis.com/envoy.config.route.v3.RouteConfiguration","name":"r",\#(members)}]"#.utf8)
    func outcome(_ body: () throws -> EnvoyResources) -> String {
      do { return "\(try body().routeConfigurations.count)" } catch { return "\(error)" }
    }
    let whole = outcome { try EnvoyResources(try JSONCursor(text[...], path: "resources")) }
    #expect(outcome { try ResourceTexts(text, in: text.indices, path: "resources").resources } == whole)
  }
}
