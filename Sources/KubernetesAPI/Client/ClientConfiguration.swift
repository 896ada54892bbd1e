import Files

/// Where the API server is, and who we are to it.
public struct ClientConfiguration: Sendable {
  public enum Credentials: Sendable {
    case anonymous
    case token(String)
    /// A file whose token someone else renews; it is read again every minute.
    case tokenFile(String)
    /// PEM.
    case clientCertificate(certificate: [UInt8], key: [UInt8])
  }

  /// `https://127.0.0.1:6443`, without a slash at the end.
  public var server: String
  /// PEM certificates that the server's must be signed by; nil trusts what the system trusts.
  public var certificateAuthority: [UInt8]?
  public var skipsServerVerification: Bool
  public var credentials: Credentials
  /// The namespace of requests whose user names none.
  public var namespace: String

  public init(
    server: String, certificateAuthority: [UInt8]? = nil, skipsServerVerification: Bool = false,
    credentials: Credentials = .anonymous, namespace: String = "default"
  ) {
    self.server = server.hasSuffix("/") ? String(server.dropLast()) : server
    self.certificateAuthority = certificateAuthority
    self.skipsServerVerification = skipsServerVerification
    self.credentials = credentials
    self.namespace = namespace
  }
}

/// Why no configuration could be made.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
}

extension ClientConfiguration {
  /// What a pod finds in its environment and file system.
  public static func inCluster(
    environment: [String: String], directory: String = "/var/run/secrets/kubernetes.io/serviceaccount"
  ) throws(ConfigurationError) -> ClientConfiguration {
    guard let host = environment["KUBERNETES_SERVICE_HOST"], let port = environment["KUBERNETES_SERVICE_PORT"] else {
      throw ConfigurationError(description: "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set")
    }
    let namespace = try contents(of: "\(directory)/namespace")
    return ClientConfiguration(
      server: "https://\(host.contains(":") ? "[\(host)]" : host):\(port)",
      certificateAuthority: try contents(of: "\(directory)/ca.crt"),
      credentials: .tokenFile("\(directory)/token"),
      namespace: String(decoding: namespace, as: UTF8.self).split(whereSeparator: \.isWhitespace).joined())
  }

  static func contents(of path: String) throws(ConfigurationError) -> [UInt8] {
    do throws(FileError) { return try StateFiles.read(path) } catch {
      throw ConfigurationError(description: error.description)
    }
  }
}
