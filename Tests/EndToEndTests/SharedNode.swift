import Testing

/// One node for all tests of a suite, with the pods that `prepare` starts; gone when the suite ends.
struct SharedNode: SuiteTrait, TestScoping {
  let upArguments: [String]
  let prepare: @Sendable (Node) throws -> Void

  @TaskLocal static var current: Node?

  func provideScope(
    for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
  ) async throws {
    let node = try Node(upArguments)
    defer { node.stop() }
    try prepare(node)
    try await SharedNode.$current.withValue(node) { try await function() }
  }

  /// The node of the suite that runs.
  static var node: Node {
    get throws {
      guard let current else { throw Failure("the suite has no shared node") }
      return current
    }
  }
}

extension Trait where Self == SharedNode {
  static func node(upArguments: [String] = [], _ prepare: @escaping @Sendable (Node) throws -> Void) -> Self {
    SharedNode(upArguments: upArguments, prepare: prepare)
  }
}

/// Whole nodes, driven by the built executable. One after the other: each of them measures time somewhere.
@Suite(.serialized, .enabled(if: Node.obstacle == nil, "needs root and bin/martlet (or MARTLET_BINARY)"))
enum EndToEnd {}
