import JSON

/// What a `Reflector` tells about the objects on the server.
public enum ReflectorDelta<Object: KubernetesObject>: Sendable {
  /// All objects there are: the first delta, and the only one of its kind. Objects that can not be decoded are listed
  /// apart. When the server can not say later on what has changed, the objects are listed again and compared with what
  /// was told, so that the other cases are all that can follow.
  case replaced([Object], invalid: [InvalidObject] = [])
  /// A new or a changed object.
  case applied(Object)
  case deleted(ObjectKey)
  /// A new or a changed object that can not be decoded. Its previous state, if any, is no longer what is asked for.
  case invalid(ObjectKey, raw: JSONValue, FieldError)
}

extension ReflectorDelta: Equatable {}

/// An object of a list that can not be decoded.
public struct InvalidObject: Hashable, Sendable {
  public let key: ObjectKey
  public let raw: JSONValue
  public let error: FieldError

  public init(key: ObjectKey, raw: JSONValue, error: FieldError) {
    self.key = key
    self.raw = raw
    self.error = error
  }
}
