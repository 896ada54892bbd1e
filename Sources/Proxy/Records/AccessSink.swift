/// Where access records go.
public enum AccessSink: Sendable {
  case none
  /// A SOCK_DGRAM socket in the file system that someone else binds. Whoever binds it later gets what is sent later.
  case socket(path: String)
  /// Called on a worker's thread; it must not block.
  case callback(@Sendable ([ProxyRecord]) -> Void)
}
