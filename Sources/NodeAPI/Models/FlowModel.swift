import JSON

/// One line of `GET /v1/flows`: a flow in Hubble's JSON, kept as it came.
public struct FlowModel: NodeModel {
  public let json: JSONValue

  public init(json: JSONValue) { self.json = json }

  public init(decoding cursor: JSONCursor) throws(FieldError) {
    _ = try cursor.object()
    json = cursor.value
  }
}
