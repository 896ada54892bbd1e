import Bookinfo
import JSON
import Testing

@Suite struct BookinfoTests {
  /// The servers of the sample on loopback, stopped at the end.
  final class Sample {
    private(set) var servers: [BookinfoServer] = []

    deinit { for server in servers { server.stop() } }

    func start(_ role: BookinfoRole, _ version: String = "v1", upstreams: [String: UInt16] = [:]) throws -> UInt16 {
      let urls = upstreams.mapValues { "http://127.0.0.1:\($0)" }
      let server = try BookinfoServer(role: role, version: version, port: 0, upstreams: urls)
      servers.append(server)
      Thread.start { server.run() }
      return server.port
    }
  }

  @Test(arguments: [("v1", nil), ("v2", "black"), ("v3", "red")] as [(String, String?)])
  func productpageShowsReviews(version: String, color: String?) throws {
    let sample = Sample()
    let ratings = try sample.start(.ratings)
    let details = try sample.start(.details)
    let reviews = try sample.start(.reviews, version, upstreams: ["ratings": ratings])
    let page = try sample.start(.productpage, upstreams: ["details": details, "reviews": reviews])

    let answer = try httpRequest(method: "GET", url: "http://127.0.0.1:\(page)/productpage")
    #expect(answer.status == 200)
    let body = try JSONValue(parsing: answer.body)
    #expect(body[path: "details", "author"] == "William Shakespeare")
    #expect(body[path: "reviews", "version"] == .string(version))
    let first = try #require(body[path: "reviews", "reviews"]?.arrayValue?.first)
    #expect(first[path: "rating", "color"] == color.map { .string($0) })
    #expect(first[path: "rating", "stars"] == (color == nil ? nil : 5))
  }

  @Test func withoutUpstreamsThePageStillAnswers() throws {
    let sample = Sample()
    let page = try sample.start(.productpage)
    let answer = try httpRequest(method: "GET", url: "http://127.0.0.1:\(page)/productpage")
    let body = try JSONValue(parsing: answer.body)
    #expect(answer.status == 200)
    #expect(body[path: "details", "error"] == "no upstream for details")
  }

  @Test(arguments: ["127.0.0.1", "[::1]"], ["GET", "POST", "DELETE"])
  func productpageEchoes(host: String, method: String) throws {
    let sample = Sample()
    let page = try sample.start(.productpage)
    let answer = try httpRequest(
      method: method, url: "http://\(host):\(page)/any/where?x=1", headers: ["X-Test": "1"],
      body: method == "GET" ? [] : Array("hello".utf8))
    let body = try JSONValue(parsing: answer.body)
    #expect(answer.status == 200)
    #expect(answer.headers["content-type"] == "application/json")
    #expect(body["method"] == .string(method))
    #expect(body["path"] == "/any/where?x=1")
    #expect(body["client"] == (host == "[::1]" ? "::1" : "127.0.0.1"))
  }

  @Test(arguments: BookinfoRole.allCases)
  func health(role: BookinfoRole) throws {
    let sample = Sample()
    let port = try sample.start(role)
    let answer = try httpRequest(method: "GET", url: "http://127.0.0.1:\(port)/health")
    #expect(answer.status == 200)
    #expect(try JSONValue(parsing: answer.body)["service"] == .string(role.rawValue))
    let missing = try httpRequest(method: "GET", url: "http://127.0.0.1:\(port)/nowhere")
    #expect(missing.status == (role == .productpage ? 200 : 404))
  }

  @Test func headHasNoBody() throws {
    let sample = Sample()
    let port = try sample.start(.ratings)
    let answer = try httpRequest(method: "HEAD", url: "http://127.0.0.1:\(port)/ratings/0")
    #expect(answer.status == 200)
    #expect(answer.body.isEmpty)
    #expect(answer.headers["Content-Length"] != "0")
  }

  @Test(arguments: [
    "https://a/", "ftp://a", "http://", "http://a:x/", "http://a:70000/", "http://[::1", "http://a/b c",
  ])
  func badURLs(url: String) {
    #expect(throws: HTTPClientError.self) { try httpRequest(method: "GET", url: url) }
  }

  @Test func refusedConnection() throws {
    let port = try {
      let sample = Sample()
      return try sample.start(.ratings)
    }()
    do {
      // The listener is shut down at once but closed only when its thread ends.
      _ = try httpRequest(method: "GET", url: "http://127.0.0.1:\(port)/health", timeout: 1)
      Issue.record("a stopped server answered")
    } catch {
      guard case .connection = error else {
        Issue.record("unexpected error \(error)")
        return
      }
    }
  }

  @Test func environmentNamesUpstreams() {
    let upstreams = BookinfoRole.upstreams(environment: ["RATINGS_URL": "http://10.0.0.2:9080", "HOME": "/"])
    #expect(upstreams == ["ratings": "http://10.0.0.2:9080"])
    #expect(BookinfoRole.reviews.upstreams(version: "v1").isEmpty)
    #expect(BookinfoRole.reviews.upstreams(version: "v2") == [.ratings])
  }
}
