/// Unicode's script property, which the standard library does not offer.
enum UnicodeScripts {
  static func named(_ name: String) -> ScalarSet? { nil }
}
