import Foundation
import Testing

@testable import Routing

@Suite struct DocumentationTests {
  @Test func `the documentation lists every field`() throws {
    let path = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/routing.md")
    let text = try String(contentsOf: path, encoding: .utf8)
    for message in KnownMessages.all where !text.contains(message.documentation) {
      Issue.record("docs/routing.md must say:\n\(message.documentation)")
    }
  }
}
