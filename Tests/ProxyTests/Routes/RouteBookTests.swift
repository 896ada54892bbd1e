import JSON
import Testing

@testable import Proxy
@testable import Routing

@Suite struct RouteBookTests {
  private typealias Documents = RouteDocuments

  private static let canary: [JSONValue] = [
    Documents.host([
      Documents.route(["prefix": "/", "headers": [["name": "x-canary", "exact_match": "true"]]], to: "default/v2"),
      Documents.route(to: "default/v1"),
    ])
  ]
  private static let services: [JSONValue] = ["default/web", "default/v1", "default/v2"]

  @Test func `a listener routes to the endpoints of services`() throws {
    var book = RouteBook()
    try book.setEndpoints(
      Documents.endpoints(["default/v1": [("10.0.0.1", 80), ("fd00::1", 80)], "default/v2": []]))
    book.setListener(7, Documents.file(number: 7, services: Self.services, [Documents.listener(Self.canary)]))
    #expect(book.answer == ListeningAnswer(listeners: [7: "g"]))
    let listener = try #require(book.snapshot.listeners[7])
    #expect(listener.object == "CiliumEnvoyConfig default/x" && listener.name == "l")
    #expect(listener.decision("http://web/", [("X-Canary", "true")]) == "default/v2")
    #expect(listener.decision("http://web/") == "default/v1")
    #expect(listener.cluster("default/v1")?.endpoints.map { "\($0.address)" } == ["10.0.0.1:80", "[fd00::1]:80"])
    #expect(listener.cluster("default/v2")?.endpoints.isEmpty == true)
    #expect(listener.cluster("default/web") == nil)
  }

  @Test func `new endpoints keep the objects of those that stay`() throws {
    var book = RouteBook()
    try book.setEndpoints(Documents.endpoints(["default/v1": [("10.0.0.1", 80)], "default/v2": [("10.0.0.2", 80)]]))
    book.setListener(1, Documents.file(services: Self.services, [Documents.listener(Self.canary)]))
    let before = try #require(book.snapshot.listeners[1])
    try book.setEndpoints(
      Documents.endpoints(["default/v1": [("10.0.0.1", 80), ("10.0.0.3", 80)], "default/v2": [("10.0.0.2", 80)]]))
    let after = try #require(book.snapshot.listeners[1])
    #expect(after !== before && after.table === before.table)
    #expect(after.cluster("default/v2") === before.cluster("default/v2"))
    #expect(after.cluster("default/v1")?.endpoints[0] === before.cluster("default/v1")?.endpoints[0])
    #expect(after.cluster("default/v1")?.endpoints.count == 2)
    // Of clusters that it does not name it knows nothing.
    try book.setEndpoints(
      Documents.endpoints([
        "default/v1": [("10.0.0.1", 80), ("10.0.0.3", 80)], "default/v2": [("10.0.0.2", 80)], "b/c": [("10.0.0.9", 1)],
      ]))
    #expect(book.snapshot.listeners[1] === after)
    // One that is not there any more.
    try book.setEndpoints(Documents.endpoints([:]))
    #expect(book.snapshot.listeners[1]?.cluster("default/v1") == nil)
  }

  static let broken: [(String, @Sendable (String) -> String, String)] = [
    ("half a file", { String($0.prefix($0.utf8.count / 2)) }, "invalid JSON"),
    ("nothing", { _ in "" }, "invalid JSON"),
    ("another number", { $0.replacing("\"number\":1", with: "\"number\":2") }, "number: is 2 in the file 1.json"),
    ("no number", { $0.replacing("\"number\":1,", with: "") }, "number: required"),
    (
      "an unknown field", { $0.replacing("\"prefix\":\"/\"", with: "\"prefix\":\"/\",\"nonsense\":1") },
      "resources[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].match.nonsense"
    ),
    (
      "a cluster that is not there",
      { $0.replacing("default/v1", with: "default/v3").replacing("\"default/v3\",", with: "") },
      "resources[0].filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[1].route.cluster"
    ),
    (
      "a listener that is not there", { $0.replacing("\"listener\":\"l\"", with: "\"listener\":\"m\"") }, "listener: no"
    ),
  ]

  @Test(arguments: broken.indices) func `a broken file leaves the last good one`(_ index: Int) throws {
    let (_, breaking, expected) = Self.broken[index]
    let good = Documents.file(services: Self.services, [Documents.listener(Self.canary)])
    let bad = Array(breaking(String(decoding: good, as: UTF8.self)).utf8)
    for isFirst in [true, false] {
      var book = RouteBook()
      if !isFirst { book.setListener(1, good) }
      let before = book.snapshot.listeners[1]
      book.setListener(1, bad)
      #expect(book.snapshot.listeners[1] === before)
      #expect(book.answer.listeners == (isFirst ? [:] : [1: "g"]))
      let reason = try #require(book.answer.rejected[1]?.reason)
      #expect(reason.hasPrefix(expected), "\(reason)")
      book.setListener(1, good)
      #expect(book.answer == ListeningAnswer(listeners: [1: "g"]))
    }
  }

  @Test func `a refusal names its generation`() {
    var book = RouteBook()
    book.setListener(1, Documents.file(generation: "bad", [Documents.cluster("")]))
    #expect(book.answer.rejected[1]?.generation == "bad")
    #expect(book.answer.json["rejectedGenerations"]?["1"] == "bad")
  }

  /// Though the routes themselves have not changed, and their texts have moved.
  @Test func `an error after a move has the path of now`() throws {
    var book = RouteBook()
    let resources = [Documents.listener(Self.canary)]
    book.setListener(1, Documents.file(services: Self.services, resources))
    book.setListener(
      1, Documents.file(services: ["default/web", "default/v2"], [Documents.cluster("first")] + resources))
    let reason = try #require(book.answer.rejected[1]?.reason)
    #expect(reason.hasPrefix("resources[1].") && reason.contains("default/v1"), "\(reason)")
  }

  @Test func `endpoints that can not be read leave those of before`() throws {
    var book = RouteBook()
    try book.setEndpoints(Documents.endpoints(["default/v1": [("10.0.0.1", 80)], "default/v2": []]))
    book.setListener(1, Documents.file(services: Self.services, [Documents.listener(Self.canary)]))
    for text in [
      "{", #"{"generation": 1}"#, #"{"generation": 1, "clusters": {"a/b": [{"address": "x", "port": 1}]}}"#,
      #"{"generation": 1, "clusters": {"a/b": [{"address": "10.0.0.1", "port": 0}]}}"#,
    ] {
      #expect(throws: RouteFileError.self) { try book.setEndpoints(Array(text.utf8)) }
      #expect(book.snapshot.listeners[1]?.cluster("default/v1")?.endpoints.count == 1)
    }
  }

  @Test func `clusters of the resources`() throws {
    let static4 = Documents.cluster(
      "fixed",
      [
        "lb_policy": "MAGLEV", "maglev_lb_config": ["table_size": 251], "connect_timeout": "0.25s",
        "load_assignment": Documents.assignment("fixed", [("10.0.0.1", 90), ("10.0.0.2", 10)]),
      ])
    let eds = Documents.cluster("eds", ["type": "EDS", "eds_cluster_config": ["service_name": "default/web:80"]])
    let assigned = Documents.cluster("assigned", ["type": "EDS", "lb_policy": "LEAST_REQUEST"])
    let hosts = [
      Documents.host([
        Documents.route(["path": "/1"], to: "fixed"), Documents.route(["path": "/2"], to: "eds"),
        Documents.route(to: "assigned"),
      ])
    ]
    let book = try RouteBook.with(
      [
        Documents.listener(hosts), static4, eds, assigned,
        Documents.assignment("assigned", [("fd00::9", 1)], isResource: true),
      ], ["default/web:80": [("10.0.0.7", 8080)]])
    #expect(book.answer.rejected == [:])
    let listener = try #require(book.snapshot.listeners[1])
    #expect(listener.cluster("fixed")?.endpoints.map { "\($0.address)" } == ["10.0.0.1:80", "10.0.0.2:80"])
    #expect(listener.cluster("fixed")?.weights == [90, 10])
    #expect(listener.cluster("fixed")?.connectTimeout == .milliseconds(250))
    #expect(listener.cluster("fixed")?.balancing == "MAGLEV")
    #expect(listener.cluster("eds")?.endpoints.map { "\($0.address)" } == ["10.0.0.7:8080"])
    #expect(listener.cluster("assigned")?.endpoints.map { "\($0.address)" } == ["[fd00::9]:80"])
  }

  @Test func `requests may name the clusters that there are`() throws {
    let route: JSONValue = ["match": ["prefix": "/"], "route": ["cluster_header": "x-to"]]
    let book = try RouteBook.with(
      [Documents.listener([Documents.host([route])])],
      ["default/web": [("10.0.0.1", 80)], "default/web:80": [("10.0.0.1", 80)], "other/web": [("10.0.0.2", 80)]])
    let listener = try #require(book.snapshot.listeners[1])
    #expect(listener.cluster("default/web")?.endpoints.count == 1)
    #expect(listener.cluster("default/web:80")?.endpoints.count == 1)
    #expect(listener.cluster("other/web") == nil)
  }

  @Test func `a change of one route takes the others over`() throws {
    func resources(_ weight: Int64) -> [JSONValue] {
      let routes = (0..<100).map { index -> JSONValue in
        let match: JSONValue = ["path_separated_prefix": .string("/r\(index)"), "headers": [["name": "a"]]]
        guard index == 50 else { return Documents.route(match) }
        return [
          "match": match,
          "route": ["weighted_clusters": ["clusters": [["name": "default/web", "weight": .integer(weight)]]]],
        ]
      }
      return [
        Documents.listener([Documents.host(routes), Documents.host(name: "b", domains: ["b"], [Documents.route()])])
      ]
    }
    var book = try RouteBook.with(resources(1), ["default/web": [("10.0.0.1", 80)]])
    let before = try #require(book.snapshot.listeners[1])
    book.setListener(1, Documents.file(resources(2)))
    let after = try #require(book.snapshot.listeners[1])
    let (old, new) = (before.table.configuration.virtualHosts, after.table.configuration.virtualHosts)
    #expect(after.table !== before.table && new[0] !== old[0] && new[1] === old[1])
    for index in 0..<100 { #expect((new[0].routes[index] === old[0].routes[index]) == (index != 50)) }
    #expect(after.decision("http://web/r99/x", [("a", "")]) == "default/web")
  }

  @Test func `a thousand listeners`() throws {
    var book = RouteBook()
    try book.setEndpoints(Documents.endpoints(["default/v1": [("10.0.0.1", 80)], "default/v2": []]))
    for number in 1...1000 {
      book.setListener(
        UInt32(number),
        Documents.file(
          number: Int64(number), name: "x\(number)", services: Self.services, [Documents.listener(Self.canary)]))
    }
    #expect(book.answer.listeners.count == 1000 && book.snapshot.listeners.count == 1000)
    try book.setEndpoints(Documents.endpoints(["default/v1": [("10.0.0.2", 80)], "default/v2": []]))
    #expect(
      book.snapshot.listeners.values.allSatisfy { "\($0.cluster("default/v1")!.endpoints[0].address)" == "10.0.0.2:80" }
    )
    for number in 1...999 { book.setListener(UInt32(number), nil) }
    #expect(book.answer.listeners == [1000: "g"])
  }

  static let names: [(String, UInt32?)] = [
    ("1.json", 1), ("65535.json", 65535), ("01.json", nil), ("1.json.77.tmp", nil), ("x.json", nil), ("-1.json", nil),
    ("1", nil), (".json", nil), ("+1.json", nil),
  ]

  @Test(arguments: names) func `names of files`(_ name: String, _ number: UInt32?) {
    #expect(RouteBook.number(ofFile: name) == number)
  }

  @Test func `an answer reads as it was written`() throws {
    let answer = ListeningAnswer(
      listeners: [7: "g", 8: "h"],
      rejected: [8: .init(reason: "why", generation: "i"), 9: .init(reason: "torn", generation: nil)])
    #expect(try ListeningAnswer(JSONCursor(JSONValue(parsing: answer.json.serialized()))) == answer)
  }
}
