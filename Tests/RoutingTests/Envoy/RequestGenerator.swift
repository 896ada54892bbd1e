import ProxyRules
import TestSupport

/// Requests out of the words that configurations are made of.
struct RequestGenerator {
  var random: SeededGenerator

  static let hosts = [
    "a.example", "A.Example", "a.example:8080", "x.b.example", "b.example", "b.example.", ".example", "example",
    "q-x.example", "a.b.example", "[::1]", "[::1]:8080", "xyz", "c.example:99", "other", "a.test:80", "a.example:443",
  ]
  static let paths = [
    "/", "/a", "/a/", "/a/b", "/A", "/A/B", "/ab", "/abc", "/a/b/c", "/api", "/api/v1", "/api/v1/users", "/API/V1",
    "/a;p=1", "/a%2fb", "//a", "/a/../b", "/b", "/b/x", "/c", "/aaa/bbb",
  ]
  static let queries = [
    "", "", "", "?", "?k=a", "?k", "?k=&x=1", "?x=1&k=ab&k=b", "?k=a?x", "?&k=1", "?K=a", "?a%20b=1", "?k=%61",
    "?k=a=b",
  ]
  static let values = [
    "a", "b", "ab", "abc", "ABC", "1", "10", "-5", "007", "+3", "x", "a,b", "", "7 8", "1.0", "99999999999999999999",
  ]

  mutating func request() -> HTTPRequestDescription {
    var headers: [(name: String, value: String)] = []
    for name in [
      "x-a", "X-A", "x-b", "x-num", "X-Num", "accept", "Accept", "X-New", "x-other", "x-multi", "x-forwarded-host",
    ] where random.chance(25) {
      headers.append(
        (
          name,
          random.pick(
            name.lowercased() == "x-num"
              ? ["0", "1", "7", "-5", "10", "+3", "x", "", "007", "9"] : RequestGenerator.values)
        ))
    }
    if random.chance(30) { headers.append(("User-Agent", random.pick(["a", "abc", "curl"]))) }
    if random.chance(60) { headers.append(("x-cluster", random.pick(EnvoyProcess.clusters + ["ns/none", ""]))) }
    if random.chance(8) {
      headers.append(
        ("content-type", random.pick(["application/grpc", "application/grpc+proto", "application/grpc-web", "a"])))
    }
    addFilterHeaders(&headers)
    headers.append(
      (
        "x-random",
        String(UInt64.random(in: 0...UInt64.max, using: &random) >> UInt64.random(in: 0...63, using: &random))
      ))
    headers.shuffle(using: &random)
    return HTTPRequestDescription(
      method: random.pick(["GET", "GET", "GET", "DELETE", "OPTIONS", "PATCH"]),
      path: random.pick(RequestGenerator.paths) + random.pick(RequestGenerator.queries),
      host: random.pick(RequestGenerator.hosts), headers: headers)
  }
}

extension RequestGenerator {
  /// What filters look for.
  private mutating func addFilterHeaders(_ headers: inout [(name: String, value: String)]) {
    if random.chance(40) {
      headers.append(
        ("Origin", random.pick(["http://a.example", "http://b", "https://xyz", "http://c.example:81", "null", ""])))
      if random.chance(60) { headers.append(("access-control-request-method", random.pick(["GET", "PUT", ""]))) }
      if random.chance(40) { headers.append(("access-control-request-headers", random.pick(["x-a", "x-a,x-b"]))) }
      if random.chance(30) { headers.append(("access-control-request-private-network", random.pick(["true", "no"]))) }
    }
    guard random.chance(25) else { return }
    headers.append(("x-envoy-fault-abort-request", random.pick(["500", "204", "700", "abc", " 404"])))
    headers.append(("x-envoy-fault-delay-request", random.pick(["1", "0", "x"])))
    for name in ["abort", "delay"] where random.chance(40) {
      headers.append(("x-envoy-fault-\(name)-request-percentage", random.pick(["0", "1000000", "2000000", "x"])))
    }
  }
}

extension HTTPRequestDescription {
  var isGRPC: Bool { headers.contains { $0.name == "content-type" && $0.value.hasPrefix("application/grpc") } }

  /// As it is sent by HTTP/1.1, with white space that is no part of the values.
  var bytes: [UInt8] {
    var text = "\(method) \(path) HTTP/1.1\r\nHost: \(host ?? "")\r\n"
    for header in headers { text += "\(header.name):  \(header.value) \r\n" }
    return Array((text + "\r\n").utf8)
  }
}
