import JSON

/// `envoy.extensions.filters.http.header_mutation.v3.HeaderMutation`
public struct HeaderMutationFilter: Hashable, Sendable {
  public let rules: HeaderMutationRules
  /// The rules of levels of the routes follow from the table's to the route's; else the other way round.
  public let mostSpecificWins: Bool

  static let fields = MessageFields(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    read: ["mutations", "most_specific_header_mutations_wins"])
  static let routeFields = MessageFields(
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute", read: ["mutations"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    rules = try HeaderMutationRules(message)
    mostSpecificWins = try message.bool("most_specific_header_mutations_wins")
  }
}

/// `envoy.extensions.filters.http.header_mutation.v3.Mutations`: each is done before the next is looked at.
public struct HeaderMutationRules: Hashable, Sendable {
  public let request: [HeaderMutationRule]
  public let response: [HeaderMutationRule]

  static let fields = MessageFields(
    "envoy.extensions.filters.http.header_mutation.v3.Mutations", read: ["request_mutations", "response_mutations"],
    refused: [
      "query_parameter_mutations", "response_trailers_mutations", "request_trailers_mutations", "formatters",
    ])

  /// Of the field `mutations`.
  init(_ message: Message) throws(FieldError) {
    guard let cursor = message.member("mutations") else {
      request = []
      response = []
      return
    }
    let message = try Message(cursor, Self.fields)
    request = try message.list("request_mutations", HeaderMutationRule.init)
    response = try message.list("response_mutations", HeaderMutationRule.init)
  }
}

/// `envoy.config.common.mutation_rules.v3.HeaderMutation`
public enum HeaderMutationRule: Hashable, Sendable {
  /// A name in lower case.
  case remove(String)
  case append(HeaderAddition)
  /// Headers with such names.
  case removeMatching(TextMatcher)

  static let fields = MessageFields(
    "envoy.config.common.mutation_rules.v3.HeaderMutation", read: ["remove", "append", "remove_on_match"])
  static let matchFields = MessageFields(
    "envoy.config.common.mutation_rules.v3.HeaderMutation.RemoveOnMatch", read: ["key_matcher"])

  /// What no header mutation may take away.
  private static let kept = ["host", ":authority", ":method", ":path", ":scheme", ":status"] + HeaderEdits.framing

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    switch try message.choice("remove", "append", "remove_on_match") {
    case ("remove", let member)?:
      let name = try member.headerName()
      guard !Self.kept.contains(name) else { throw member.error("\(name) can not be removed") }
      self = .remove(name)
    case ("append", let member)?: self = .append(try HeaderAddition(member))
    case (_, let member)?:
      let cursor = try Message(member, Self.matchFields).required("key_matcher")
      let matcher = try TextMatcher(cursor)
      let test = try TextTest(matcher)
      for name in Self.kept where Array(name.utf8).withUnsafeBytes(test.matches) {
        throw cursor.error("would remove \(name)")
      }
      self = .removeMatching(matcher)
    case nil: throw cursor.error("needs remove, append or remove_on_match")
    }
  }
}

/// ``HeaderMutationRules``, ready to be followed.
final class CompiledMutations: Sendable {
  private enum Step: Sendable {
    case remove(String)
    case append(HeaderAddition)
    case removeMatching(TextTest)
  }

  private let request: [Step]
  private let response: [Step]

  var changesResponses: Bool { !response.isEmpty }
  /// How many changes it has for requests and for responses.
  var counts: (request: Int, response: Int) { (request.count, response.count) }

  init(_ rules: HeaderMutationRules) throws(FieldError) {
    request = try CompiledMutations.steps(rules.request)
    response = try CompiledMutations.steps(rules.response)
  }

  private static func steps(_ rules: [HeaderMutationRule]) throws(FieldError) -> [Step] {
    var steps: [Step] = []
    for rule in rules {
      switch rule {
      case .remove(let name): steps.append(.remove(name))
      case .append(let addition): steps.append(.append(addition))
      case .removeMatching(let matcher): steps.append(.removeMatching(try TextTest(matcher)))
      }
    }
    return steps
  }

  func applyToRequest(_ context: inout TemplateContext) {
    for step in request {
      var headers = context.request
      CompiledMutations.apply(step, to: &headers) { context.text($0) }
      context.request = headers
    }
  }

  func apply(to headers: inout EditedHeaders, _ context: TemplateContext) {
    for step in response {
      let before = headers
      CompiledMutations.apply(step, to: &headers) { template in
        var context = context
        context.response = before
        return context.text(template)
      }
    }
  }

  private static func apply(_ step: Step, to headers: inout EditedHeaders, _ text: (HeaderTemplate) -> [UInt8]) {
    switch step {
    case .remove(let name): headers.edits.remove(name)
    case .removeMatching(let test): headers.remove { $0.withUnsafeBytes(test.matches) }
    case .append(let addition):
      let value = text(addition.value)
      if !value.isEmpty || addition.keepsEmptyValue { headers.add(addition, value) }
    }
  }
}

extension EditedHeaders {
  /// Removes all lines with a name, in lower case, of that kind.
  mutating func remove(where isRemoved: ([UInt8]) -> Bool) {
    for line in original {
      let name = line.name.map(\.asciiLowercased)
      if isRemoved(name) { edits.remove(String(decoding: name, as: UTF8.self)) }
    }
    for line in edits.added where isRemoved(Array(line.name.utf8)) { edits.remove(line.name) }
  }

  /// Adds one header as its action says.
  mutating func add(_ addition: HeaderAddition, _ value: [UInt8]) {
    switch addition.action {
    case .append: edits.add(addition.name, value)
    case .addIfAbsent: if first(addition.name) == nil { edits.add(addition.name, value) }
    case .overwriteOrAdd: edits.set(addition.name, value)
    case .overwriteIfExists: if first(addition.name) != nil { edits.set(addition.name, value) }
    }
  }
}
