import JSON

/// The four services of the sample: a product page that asks for details and reviews, and reviews that ask for ratings.
public enum BookinfoRole: String, Sendable, Hashable, CaseIterable {
  case productpage, details, reviews, ratings

  /// The roles that this one calls, in the given version: reviews v1 shows no stars, so it calls nobody.
  public func upstreams(version: String) -> [BookinfoRole] {
    switch self {
    case .productpage: [.details, .reviews]
    case .reviews: version == "v1" ? [] : [.ratings]
    case .details, .ratings: []
    }
  }

  /// The upstreams' base URLs from `DETAILS_URL`, `REVIEWS_URL` and `RATINGS_URL`, by role.
  public static func upstreams(environment: [String: String]) -> [String: String] {
    var upstreams: [String: String] = [:]
    for role in allCases { upstreams[role.rawValue] = environment[role.rawValue.uppercased() + "_URL"] }
    return upstreams
  }
}

/// One request as a role sees it.
struct BookinfoRequest: Hashable, Sendable {
  var method: String
  /// With its query.
  var target: String
  var headers: HTTPHeaders
  /// The address that the connection came from.
  var client: String

  var path: String { String(target.prefix { $0 != "?" }) }
}

/// What the roles answer; calls to others go through `call`.
struct BookinfoService: Sendable {
  let role: BookinfoRole
  let version: String
  let call: @Sendable (BookinfoRole, String, HTTPHeaders) -> (status: Int, body: JSONValue)

  func answer(_ request: BookinfoRequest) -> (status: Int, body: JSONValue) {
    if request.path == "/health" { return (200, ["status": "ok", "service": .string(role.rawValue)]) }
    switch role {
    case .productpage: return productpage(request)
    case .details: return request.path.hasPrefix("/details/") ? (200, details(request)) : notFound(request)
    case .reviews: return request.path.hasPrefix("/reviews/") ? (200, reviews(request)) : notFound(request)
    case .ratings: return request.path.hasPrefix("/ratings/") ? (200, ratings(request)) : notFound(request)
    }
  }

  /// Every path answers, and says what the server saw: the demo's policies tell paths apart, not the server.
  private func productpage(_ request: BookinfoRequest) -> (status: Int, body: JSONValue) {
    var page: JSONValue = [
      "service": "productpage", "version": .string(version), "method": .string(request.method),
      "path": .string(request.target), "client": .string(request.client),
    ]
    let product = "0"
    switch request.path {
    case "/productpage":
      page["product"] = BookinfoService.product
      page["details"] = call(.details, "/details/\(product)", request.headers.trace).body
      page["reviews"] = call(.reviews, "/reviews/\(product)", request.headers.trace).body
    case "/api/v1/products": page["products"] = [BookinfoService.product]
    case "/api/v1/products/\(product)":
      page["details"] = call(.details, "/details/\(product)", request.headers.trace).body
    case "/api/v1/products/\(product)/reviews":
      page["reviews"] = call(.reviews, "/reviews/\(product)", request.headers.trace).body
    case "/api/v1/products/\(product)/ratings":
      page["ratings"] = call(.ratings, "/ratings/\(product)", request.headers.trace).body
    default: break
    }
    return (200, page)
  }

  private func details(_ request: BookinfoRequest) -> JSONValue {
    [
      "id": .string(request.lastStep), "author": "William Shakespeare", "year": 1594, "type": "paperback", "pages": 200,
      "publisher": "First Folio Press", "language": "English", "version": .string(version),
    ]
  }

  private func reviews(_ request: BookinfoRequest) -> JSONValue {
    var stars: JSONValue?
    if version != "v1" {
      let answer = call(.ratings, "/ratings/\(request.lastStep)", request.headers.trace)
      stars = answer.status == 200 ? answer.body["ratings"] : nil
    }
    let texts = ["Two pairs of twins, and not a dull page.", "Read it aloud, with friends, in a hurry."]
    let reviews = texts.enumerated().map { index, text -> JSONValue in
      let reviewer = "Reviewer\(index + 1)"
      var review: JSONValue = ["reviewer": .string(reviewer), "text": .string(text)]
      if version != "v1" {
        if let count = stars?[reviewer] {
          review["rating"] = ["stars": count, "color": version == "v2" ? "black" : "red"]
        } else {
          review["rating"] = ["error": "ratings are not available"]
        }
      }
      return review
    }
    return ["id": .string(request.lastStep), "version": .string(version), "reviews": .array(reviews)]
  }

  private func ratings(_ request: BookinfoRequest) -> JSONValue {
    [
      "id": .string(request.lastStep), "version": .string(version), "ratings": ["Reviewer1": 5, "Reviewer2": 4],
    ]
  }

  private func notFound(_ request: BookinfoRequest) -> (status: Int, body: JSONValue) {
    (404, ["error": .string("\(role.rawValue) has nothing at \(request.path)")])
  }

  private static let product: JSONValue = ["id": 0, "title": "The Comedy of Errors"]
}

extension BookinfoRequest {
  fileprivate var lastStep: String { path.split(separator: "/").last.map(String.init) ?? "" }
}

extension HTTPHeaders {
  /// The fields that a service passes on so that a trace holds together.
  fileprivate var trace: HTTPHeaders {
    var kept = HTTPHeaders()
    for field in fields where ["x-request-id", "traceparent", "end-user"].contains(field.name.lowercased()) {
      kept.append(field.name, field.value)
    }
    return kept
  }
}
