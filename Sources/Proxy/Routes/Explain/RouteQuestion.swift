import ProxyRules
import Routing

/// A request as a person writes it.
public struct RouteQuestion: Hashable, Sendable {
  public let method: String
  /// `http` or `https`
  public let scheme: String
  /// The authority in the address: where the client connects to.
  public let destination: String
  /// What the request says that it is for, with its port, if it has one.
  public let authority: String
  /// With its query.
  public let path: String
  public let headers: [Header]

  public struct Header: Hashable, Sendable {
    public let name: String
    public let value: String

    public init(name: String, value: String) {
      self.name = name
      self.value = value
    }
  }

  /// nil for what is no address with http or https.
  ///
  /// - Parameter headers: A `Host` among them takes the place of the address' own, which then only says where the request
  ///   goes.
  public init?(method: String, url: String, headers: [Header] = []) {
    guard let colon = url.firstRange(of: "://") else { return nil }
    let scheme = url[..<colon.lowerBound].lowercased()
    guard scheme == "http" || scheme == "https" else { return nil }
    let rest = url[colon.upperBound...].prefix { $0 != "#" }
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    guard end > rest.startIndex else { return nil }
    self.method = method
    self.scheme = scheme
    destination = String(rest[..<end])
    let path = rest[end...]
    self.path = path.hasPrefix("/") ? String(path) : "/\(path)"
    authority = headers.first { $0.name.lowercased() == "host" }?.value ?? destination
    self.headers = headers.filter { $0.name.lowercased() != "host" }
  }

  /// The Service that the client means, as `namespace/name`, and the port: what the names of Services allow.
  ///
  ///     reviews                                 default/reviews
  ///     reviews.prod:9080                       prod/reviews, 9080
  ///     reviews.prod.svc.cluster.local          prod/reviews
  public func service(from namespace: String) -> (name: String, port: UInt16) {
    var host = destination[...]
    var port: UInt16 = scheme == "https" ? 443 : 80
    if let colon = host.lastIndex(of: ":"), let number = UInt16(host[host.index(after: colon)...]) {
      port = number
      host = host[..<colon]
    }
    let labels = host.split(separator: ".")
    let name = labels.first.map(String.init) ?? String(host)
    return ("\(labels.count > 1 ? String(labels[1]) : namespace)/\(name)", port)
  }

  /// Calls `body` with a view of the request.
  func withView<Result>(_ body: (RequestView) -> Result) -> Result {
    let description = HTTPRequestDescription(
      method: method, path: path, host: authority, headers: headers.map { ($0.name, $0.value) })
    var facts = ConnectionFacts()
    facts.scheme = scheme
    return description.withFacts { body(RequestView($0, connection: facts)) }
  }
}
