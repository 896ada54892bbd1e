import JSON

/// `envoy.extensions.filters.http.buffer.v3.Buffer`: how large requests may be.
public struct RequestBuffer: Hashable, Sendable {
  /// Octets of the body.
  public let maximum: UInt32

  static let fields = MessageFields("envoy.extensions.filters.http.buffer.v3.Buffer", read: ["max_request_bytes"])
  static let routeFields = MessageFields(
    "envoy.extensions.filters.http.buffer.v3.BufferPerRoute", read: ["disabled", "buffer"])

  init(_ cursor: JSONCursor) throws(FieldError) {
    let message = try Message(cursor, Self.fields, isAny: true)
    maximum = try message.required("max_request_bytes").protobufInteger(in: 1...UInt32.max)
  }

  /// What a route says; nil: no limit.
  static func ofRoute(_ cursor: JSONCursor) throws(FieldError) -> RequestBuffer? {
    let message = try Message(cursor, routeFields, isAny: true)
    switch try message.choice("disabled", "buffer") {
    case ("disabled", let member)?:
      guard try member.bool() else { throw member.error("must be true") }
      return nil
    case (_, let member)?: return try RequestBuffer(member)
    case nil: throw cursor.error("needs disabled or buffer")
    }
  }
}
