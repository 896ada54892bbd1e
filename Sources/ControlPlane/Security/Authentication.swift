/// Who may ask: whoever has the token or a certificate of the server's authority.
struct Authentication: Sendable {
  private let expected: [UInt8]

  init(token: String) { expected = Array("Bearer \(token)".utf8) }

  /// Compares in a time that does not depend on where the texts differ.
  func accepts(authorization: String) -> Bool {
    let given = Array(authorization.utf8)
    guard given.count == expected.count else { return false }
    var difference: UInt8 = 0
    for (left, right) in zip(given, expected) { difference |= left ^ right }
    return difference == 0
  }

  /// What anybody may read.
  static func isPublic(_ path: [String]) -> Bool {
    guard let first = path.first else { return false }
    return ["healthz", "livez", "readyz"].contains(first) || path == ["version"]
  }
}
