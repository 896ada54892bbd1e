import Flows
import ProxyRules

extension Flow.HTTP {
  /// As rules look at it. Flows carry no headers but the host.
  var request: HTTPRequestDescription { HTTPRequestDescription(method: method, path: path, host: host) }

  /// `http://host/path?query` -> `/path?query`.
  var path: String {
    let rest = afterScheme
    return rest.firstIndex(of: "/").map { String(rest[$0...]) } ?? "/"
  }

  private var host: String? {
    let rest = afterScheme
    return rest.hasPrefix("/") ? nil : String(rest.prefix { $0 != "/" })
  }

  private var afterScheme: Substring {
    let marks: [Substring] = url.split(separator: "://", maxSplits: 1)
    return marks.count == 2 ? marks[1] : url[...]
  }
}
