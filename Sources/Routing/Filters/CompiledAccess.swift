import Addressing
import JSON

/// ``AccessControl``, ready to be asked.
final class CompiledAccess: Sendable {
  let rules: CompiledRules?
  let shadowRules: CompiledRules?

  /// nil: anything is allowed.
  init(_ control: AccessControl?) throws(FieldError) {
    rules = try control?.rules.map { (rules) throws(FieldError) in try CompiledRules(rules) }
    shadowRules = try control?.shadowRules.map { (rules) throws(FieldError) in try CompiledRules(rules) }
  }
}

/// ``AccessRules``, ready to be asked.
struct CompiledRules: Sendable {
  private struct Policy: Sendable {
    let name: String
    let permissions: [Test]
    let principals: [Test]
  }

  private indirect enum Test: Sendable {
    case any
    case all([Test])
    case oneOf([Test])
    case not(Test)
    case header(HeaderTest)
    case path(TextTest)
    case destination(CIDR)
    case destinationPort(Range<Int32>)
    case source(CIDR)
  }

  let denies: Bool
  private let policies: [Policy]

  init(_ rules: AccessRules) throws(FieldError) {
    denies = rules.denies
    var policies: [Policy] = []
    for policy in rules.policies {
      policies.append(
        Policy(
          name: policy.name, permissions: try CompiledRules.tests(policy.permissions),
          principals: try CompiledRules.tests(policy.principals)))
    }
    self.policies = policies
  }

  private static func tests(_ tests: [AccessTest]) throws(FieldError) -> [Test] {
    var compiled: [Test] = []
    for test in tests { compiled.append(try CompiledRules.test(test)) }
    return compiled
  }

  private static func test(_ test: AccessTest) throws(FieldError) -> Test {
    switch test {
    case .any: .any
    case .all(let tests): .all(try CompiledRules.tests(tests))
    case .oneOf(let tests): .oneOf(try CompiledRules.tests(tests))
    case .not(let other): .not(try CompiledRules.test(other))
    case .header(let matcher): .header(try HeaderTest(matcher))
    case .path(let matcher): .path(try TextTest(matcher))
    case .destination(let block): .destination(block)
    case .destinationPort(let ports): .destinationPort(ports)
    case .source(let block): .source(block)
    }
  }

  /// Whether what it says depends on the connection's addresses.
  var asksForAddresses: Bool {
    policies.contains { ($0.permissions + $0.principals).contains(where: CompiledRules.asksForAddress) }
  }

  private static func asksForAddress(_ test: Test) -> Bool {
    switch test {
    case .destination, .destinationPort, .source: true
    case .all(let tests), .oneOf(let tests): tests.contains(where: asksForAddress)
    case .not(let other): asksForAddress(other)
    case .any, .header, .path: false
    }
  }

  /// The name of the first policy that matches; nil for none.
  func policy(for request: RequestView) -> String? {
    policies.first { policy in
      policy.permissions.contains { CompiledRules.holds($0, request) }
        && policy.principals.contains { CompiledRules.holds($0, request) }
    }?.name
  }

  func allows(_ request: RequestView) -> Bool { (policy(for: request) != nil) != denies }

  private static func holds(_ test: Test, _ request: RequestView) -> Bool {
    switch test {
    case .any: true
    case .all(let tests): tests.allSatisfy { holds($0, request) }
    case .oneOf(let tests): tests.contains { holds($0, request) }
    case .not(let other): !holds(other, request)
    case .header(let test): test.holds(for: request)
    case .path(let test): test.matches(request.http.path.withoutQuery)
    case .destination(let block): request.connection.local.map(block.contains) ?? false
    case .destinationPort(let ports):
      request.connection.local != nil && ports.contains(Int32(request.connection.localPort))
    case .source(let block): request.connection.remote.map(block.contains) ?? false
    }
  }
}
