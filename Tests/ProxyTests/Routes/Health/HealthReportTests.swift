import JSON
import Testing

@testable import Proxy

@Suite struct HealthReportTests {
  private func report(_ health: String, isPanicking: Bool = false) -> HealthReport {
    let standing = EndpointStanding(
      address: "10.0.0.1:80", weight: 3, priority: 1, health: health, reasons: ["failed check: status 500"])
    return HealthReport(clusters: [
      .init(object: "CiliumEnvoyConfig default/x", name: "c", isPanicking: isPanicking, endpoints: [standing])
    ])
  }

  @Test func `is read as it was written`() throws {
    for report in [report("unhealthy"), report("healthy", isPanicking: true), HealthReport(clusters: [])] {
      #expect(try HealthReport(JSONCursor(JSONValue(parsing: report.json.serialized()))) == report)
    }
  }

  private func explain(_ cluster: [String: JSONValue], _ report: HealthReport?) throws -> RouteExplanation {
    let book = try RouteBook.with([
      RouteDocuments.listener([RouteDocuments.host([RouteDocuments.route(to: "c")])]),
      RouteDocuments.cluster(
        "c",
        ["type": "STATIC", "load_assignment": RouteDocuments.assignment("c", [("10.0.0.1", 3)])]
          .merging(cluster) { $1 }),
    ])
    let listener = try #require(book.snapshot.listeners[1])
    let question = try #require(RouteQuestion(method: "GET", url: "http://web/", headers: []))
    return try RouteExplanation(question, listener, health: report)
  }

  @Test func `an explanation says what the proxy has said`() throws {
    let checks: [String: JSONValue] = ["health_checks": [.object(HealthDocuments.checkFields([:]))]]
    let unhealthy = try explain(checks, report("unhealthy"))
    #expect(!unhealthy.isServed)
    let endpoint = unhealthy.json["clusters"]?.arrayValue?.first?["endpoints"]?.arrayValue?.first
    #expect(endpoint?["health"] == "unhealthy" && endpoint?["reasons"] == ["failed check: status 500"])
    #expect(try explain(checks, report("unhealthy", isPanicking: true)).isServed)
    #expect(try explain(checks, report("healthy")).isServed)
    // Nobody has said anything: the checks are still to come, and until then all endpoints are asked.
    let unknown = try explain(checks, nil)
    #expect(unknown.isServed)
    guard case .forward(let destinations) = unknown.outcome else { throw Failure() }
    #expect(destinations[0].endpoints[0].reasons == ["the proxy has not said yet whether it passes its checks"])
    #expect(try explain([:], nil).isServed)
  }

  private struct Failure: Error {}
}
