import Files
import JSON
import Logging
import TestSupport
import Testing

@testable import Proxy

#if DEBUG
  private let isOptimized = false
#else
  private let isOptimized = true
#endif

/// One route among thousands changes.
@Suite(.serialized) struct RouteScaleTests {
  private typealias Documents = RouteDocuments

  enum Change: CaseIterable {
    case weight, path, insertion, removal
  }

  enum Shape: CaseIterable {
    /// All routes in one virtual host.
    case oneHost
    /// Ten routes in each.
    case manyHosts
  }

  private func route(_ index: Int, version: Int) -> JSONValue {
    [
      "name": .string("route-\(index)"),
      "match": [
        "path_separated_prefix": .string("/api/v1/tenants/\(index)/orders"),
        "headers": [["name": "x-tenant", "exact_match": .string("t\(index)")]],
      ],
      "route": [
        "weighted_clusters": [
          "clusters": [
            ["name": .string("default/s\(index % 500)"), "weight": .integer(Int64(100 + version))],
            ["name": .string("default/s\((index + 1) % 500)"), "weight": 10],
          ]
        ], "timeout": "3s", "retry_policy": ["retry_on": "5xx,connect-failure", "num_retries": 2],
      ],
      "request_headers_to_add": [["header": ["key": "x-route", "value": "%ROUTE_NAME%"]]],
    ]
  }

  private func file(_ count: Int, _ shape: Shape, _ change: Change?, step: Int) -> [UInt8] {
    var routes = (0..<count).map { route($0, version: 0) }
    let at = step &* 7919 % count
    switch change {
    case nil: break
    case .weight: routes[at] = route(at, version: step + 1)
    case .path: routes[at] = route(count + step, version: 0)
    case .insertion: routes.insert(route(count + step, version: 0), at: at)
    case .removal: routes.remove(at: at)
    }
    let perHost = shape == .oneHost ? routes.count : 10
    let hosts = stride(from: 0, to: routes.count, by: perHost).map { start in
      Documents.host(
        name: "host\(start)", domains: [shape == .oneHost ? "*" : .string("h\(start).example")],
        Array(routes[start..<min(start + perHost, routes.count)]))
    }
    return Documents.file(
      generation: "\(step)", services: (0..<500).map { .string("default/s\($0)") }, [Documents.listener(hosts)])
  }

  private func percentiles(_ times: [Duration]) -> (median: Duration, p99: Duration) {
    let sorted = times.sorted()
    return (sorted[sorted.count / 2], sorted[min(sorted.count - 1, sorted.count * 99 / 100)])
  }

  static let cases = Shape.allCases.flatMap { shape in Change.allCases.map { (shape, $0) } }

  @Test(arguments: cases) func `a change costs what it changes`(_ shape: Shape, _ change: Change) throws {
    let count = isOptimized ? 5000 : 300
    var book = RouteBook()
    try book.setEndpoints(
      Documents.endpoints(
        Dictionary(uniqueKeysWithValues: (0..<500).map { ("default/s\($0)", [("10.0.0.1", 80), ("fd00::1", 80)]) })))
    let clock = ContinuousClock()
    let first = clock.measure { book.setListener(1, file(count, shape, nil, step: 0)) }
    var times: [Duration] = []
    for step in 1...(isOptimized ? 100 : 5) {
      let content = file(count, shape, change, step: step)
      times.append(
        clock.measure {
          book.setListener(1, content)
          _ = book.snapshot
        })
      #expect(book.answer.listeners[1] == "\(step)")
    }
    let (median, p99) = percentiles(times)
    print("\(count) routes, \(shape), \(change): first \(first), then \(median), p99 \(p99)")
    if isOptimized { #expect(p99 < .milliseconds(100)) }
  }

  /// From the file's replacement to the proxy's answer, which is written when the route is in force.
  @Test func `from file to effect`() async throws {
    let count = isOptimized ? 5000 : 300
    let directory = try TemporaryDirectory("scale")
    let files = ProxyFiles(folder: directory.path)
    let routes = RouteStore()
    try StateFiles.makeDirectories(files.listeners)
    let task = Task { try await RouteWatch(files: files, routes: routes, logger: Logger(label: "scale")).run() }
    var times: [Duration] = []
    for step in 0...(isOptimized ? 100 : 3) {
      let content = file(count, .oneHost, step == 0 ? nil : .weight, step: step)
      let start = ContinuousClock.now
      try StateFiles.write(content, to: files.listener(1))
      while try ListeningAnswer(files)?.listeners[1] != "\(step)" {
        #expect(ContinuousClock.now - start < .seconds(30))
        try await Task.sleep(for: .microseconds(200))
      }
      times.append(ContinuousClock.now - start)
    }
    let (median, p99) = percentiles(Array(times.dropFirst()))
    print("\(count) routes, file to effect: first \(times[0]), then \(median), p99 \(p99)")
    task.cancel()
    try await task.value
  }
}
