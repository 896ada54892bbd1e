import Files
import JSON

extension ClientConfiguration {
  /// Reads a kubeconfig file (kubectl's format). `context` nil means the file's current one. Files that it names are
  /// relative to its own directory.
  public static func kubeconfig(
    path: String, context: String? = nil
  ) throws(ConfigurationError) -> ClientConfiguration {
    let directory = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    let text = String(decoding: try contents(of: path), as: UTF8.self)
    do {
      return try kubeconfig(text: text, directory: directory, context: context)
    } catch {
      throw ConfigurationError(description: "\(path): \(error)")
    }
  }

  static func kubeconfig(
    text: String, directory: String, context: String?
  ) throws(ConfigurationError) -> ClientConfiguration {
    let document: YAMLDocument?
    do throws(YAMLError) {
      document = try YAMLDocument.parse(text).first
    } catch {
      throw ConfigurationError(description: "\(error)")
    }
    guard let document else { throw ConfigurationError(description: "the file is empty") }
    do throws(FieldError) {
      return try Kubeconfig(root: JSONCursor(document.value), directory: directory).configuration(context)
    } catch {
      throw ConfigurationError(description: "line \(document.locations[error.path].line): \(error)")
    }
  }
}

private struct Kubeconfig {
  let root: JSONCursor
  let directory: String

  func configuration(_ contextName: String?) throws(FieldError) -> ClientConfiguration {
    let current = try root.member("current-context")?.string()
    guard let name = contextName ?? current else {
      throw FieldError(path: "current-context", message: "required")
    }
    let context = try entry(name, "contexts", "context")
    let cluster = try entry(try context.required("cluster").string(), "clusters", "cluster")
    let user = try context.member("user")
    return ClientConfiguration(
      server: try cluster.required("server").string(),
      certificateAuthority: try bytes(cluster, "certificate-authority"),
      skipsServerVerification: try cluster.member("insecure-skip-tls-verify")?.bool() ?? false,
      credentials: try user.map(credentials(ofUser:)) ?? .anonymous,
      namespace: try context.member("namespace")?.string() ?? "default")
  }

  private func entry(_ name: String, _ list: String, _ kind: String) throws(FieldError) -> JSONCursor {
    for element in try root.required(list).elements() where try element.required("name").string() == name {
      return try element.required(kind)
    }
    throw FieldError(path: list, message: "no \(kind) is named \"\(name)\"")
  }

  private func credentials(ofUser name: JSONCursor) throws(FieldError) -> ClientConfiguration.Credentials {
    let user = try entry(try name.string(), "users", "user")
    if let token = try user.member("token") { return .token(try token.string()) }
    if let file = try user.member("tokenFile") { return .tokenFile(resolved(try file.string())) }
    if let certificate = try bytes(user, "client-certificate") {
      guard let key = try bytes(user, "client-key") else { throw user.error("client certificate without client-key") }
      return .clientCertificate(certificate: certificate, key: key)
    }
    for unsupported in ["exec", "auth-provider", "username"] {
      if let member = try user.member(unsupported) {
        throw member.error("not supported: use a token or a client certificate")
      }
    }
    return .anonymous
  }

  /// The contents of `KEY-data` (base64), or of the file that `KEY` names.
  private func bytes(_ cursor: JSONCursor, _ key: String) throws(FieldError) -> [UInt8]? {
    if let data = try cursor.member("\(key)-data") {
      guard let bytes = Base64.decode(try data.string()) else { throw data.error("is not base64") }
      return bytes
    }
    guard let file = try cursor.member(key) else { return nil }
    do throws(FileError) {
      return try StateFiles.read(resolved(file.stringOrEmpty()))
    } catch {
      throw file.error(error.description)
    }
  }

  private func resolved(_ path: String) -> String { path.hasPrefix("/") ? path : "\(directory)/\(path)" }
}

extension JSONCursor {
  fileprivate func stringOrEmpty() -> String { value.stringValue ?? "" }
}
