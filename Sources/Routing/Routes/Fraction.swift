import JSON

/// `envoy.config.core.v3.RuntimeFractionalPercent` and `envoy.type.v3.FractionalPercent`: a part of all requests.
public struct Fraction: Hashable, Sendable {
  public let numerator: UInt32
  /// 100, 10,000 or 1,000,000.
  public let denominator: UInt32

  /// Whether a request with that random number is of the part.
  public func contains(_ random: UInt64) -> Bool { random % UInt64(denominator) < UInt64(numerator) }

  /// Nothing of them.
  static let empty = Fraction(numerator: 0, denominator: 100)
  /// All of them.
  public static let full = Fraction(numerator: 100, denominator: 100)

  /// To a hundredth of a percent; nil for what is not from 0 to 100.
  public init?(percent: Double) {
    guard percent >= 0, percent <= 100 else { return nil }
    self.init(numerator: UInt32((percent * 100).rounded()), denominator: 10_000)
  }

  private init(numerator: UInt32, denominator: UInt32) {
    self.numerator = numerator
    self.denominator = denominator
  }

  /// The same with at most that numerator.
  func limited(to numerator: UInt32) -> Fraction {
    Fraction(numerator: min(self.numerator, numerator), denominator: denominator)
  }

  static let runtimeFields = MessageFields(
    "envoy.config.core.v3.RuntimeFractionalPercent", read: ["default_value"],
    // There is no runtime to override the value.
    withoutEffect: ["runtime_key"])
  static let fields = MessageFields("envoy.type.v3.FractionalPercent", read: ["numerator", "denominator"])

  init(runtime cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.runtimeFields)
    _ = try message.string("runtime_key")
    self = try Fraction(try message.required("default_value"))
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields)
    numerator = try message.uint32("numerator") ?? 0
    denominator =
      switch try message.member("denominator")?.protobufEnum(["HUNDRED", "TEN_THOUSAND", "MILLION"]) {
      case "TEN_THOUSAND": 10_000
      case "MILLION": 1_000_000
      default: 100
      }
  }
}
