import Addressing
import JSON

/// One element of `fromCIDR` / `toCIDR`.
public struct CIDRPeer: Hashable, Sendable {
  public let cidr: CIDR
  public let path: String

  public init(cidr: CIDR, path: String = "") {
    self.cidr = cidr
    self.path = path
  }

  /// An address block, or an address alone.
  init(_ cursor: JSONCursor) throws(FieldError) {
    let text = try cursor.string()
    guard let cidr = CIDR(text) else { throw cursor.error("\"\(text)\" is neither a CIDR nor an IP address") }
    self.init(cidr: cidr, path: cursor.path)
  }

  /// Cilium takes an address alone in `fromCIDR` but not in `fromCIDRSet`.
  init(prefix cursor: JSONCursor) throws(FieldError) {
    let text = try cursor.string()
    guard text.contains("/"), let cidr = CIDR(text) else {
      throw cursor.error("\"\(text)\" is not a CIDR: address/length")
    }
    self.init(cidr: cidr, path: cursor.path)
  }
}

/// One element of `fromCIDRSet` / `toCIDRSet`: a block, or a reference to CiliumCIDRGroups, minus exceptions.
public struct CIDRRule: Hashable, Sendable {
  public enum Source: Hashable, Sendable {
    case cidr(CIDR)
    case groupRef(String)
    case groupSelector(EndpointSelector)
  }

  public let source: Source
  /// Within the block, where the source is one.
  public let except: [CIDRPeer]
  public let path: String

  public init(source: Source, except: [CIDRPeer] = [], path: String = "") {
    self.source = source
    self.except = except
    self.path = path
  }

  init(_ cursor: JSONCursor) throws(FieldError) {
    try cursor.allowOnly(["cidr", "cidrGroupRef", "cidrGroupSelector", "except"])
    var sources: [Source] = []
    if let cidr = try cursor.member("cidr") { sources.append(.cidr(try CIDRPeer(prefix: cidr).cidr)) }
    if let name = try cursor.member("cidrGroupRef") {
      guard !(try name.string()).isEmpty else { throw name.error("must not be empty") }
      sources.append(.groupRef(try name.string()))
    }
    if let selector = try cursor.member("cidrGroupSelector") {
      sources.append(.groupSelector(try EndpointSelector(selector)))
    }
    guard let source = sources.first, sources.count == 1 else {
      throw cursor.error("needs exactly one of cidr, cidrGroupRef and cidrGroupSelector")
    }
    let except = try cursor.list("except", CIDRPeer.init(prefix:)) ?? []
    if case .cidr(let cidr) = source {
      for exception in except where !cidr.contains(exception.cidr) {
        throw FieldError(path: exception.path, message: "\(exception.cidr) is not within \(cidr)")
      }
    }
    self.init(source: source, except: except, path: cursor.path)
  }
}
