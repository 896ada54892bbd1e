import JSON
import Testing

@testable import KubernetesAPI

@Suite struct KubeconfigTests {
  static func text(user: String, cluster: String = "{server: 'https://127.0.0.1:6443'}") -> String {
    """
    apiVersion: v1
    kind: Config
    current-context: a
    contexts:
    - {name: b, context: {cluster: c, namespace: "n"}}
    - {name: a, context: {cluster: c, user: u}}
    clusters:
    - {name: c, cluster: \(cluster)}
    users:
    - {name: u, user: \(user)}
    """
  }

  @Test func readsTheCurrentContext() throws {
    let text = Self.text(
      user: "{client-certificate-data: Y2VydA==, client-key-data: a2V5}",
      cluster: "{server: 'https://h:1/', certificate-authority-data: Y2E=}")
    let configuration = try ClientConfiguration.kubeconfig(text: text, directory: "/", context: nil)
    #expect(configuration.server == "https://h:1" && configuration.namespace == "default")
    #expect(configuration.certificateAuthority == Array("ca".utf8))
    guard case .clientCertificate(let certificate, let key) = configuration.credentials else {
      Issue.record("\(configuration.credentials)")
      return
    }
    #expect(certificate == Array("cert".utf8) && key == Array("key".utf8))
  }

  @Test func readsANamedContext() throws {
    let configuration = try ClientConfiguration.kubeconfig(text: Self.text(user: "{}"), directory: "/", context: "b")
    #expect(configuration.namespace == "n")
    guard case .anonymous = configuration.credentials else {
      Issue.record("\(configuration.credentials)")
      return
    }
  }

  @Test(arguments: [
    ("{exec: {}}", "not supported"), ("{client-certificate-data: Y2VydA==}", "client-key"),
    ("{client-certificate-data: '%', client-key-data: ''}", "base64"),
    ("{client-certificate: missing.pem}", "/nowhere/missing.pem"),
  ])
  func refuses(_ user: String, _ message: String) throws {
    let error = try #require(throws: ConfigurationError.self) {
      try ClientConfiguration.kubeconfig(text: Self.text(user: user), directory: "/nowhere", context: nil)
    }
    #expect(error.description.contains(message) && error.description.contains("line 10"), "\(error)")
  }

  @Test func namesWhatIsMissing() throws {
    let context = try #require(throws: ConfigurationError.self) {
      try ClientConfiguration.kubeconfig(text: Self.text(user: "{}"), directory: "/", context: "z")
    }
    #expect(context.description.contains("no context is named \"z\""))
    let file = try #require(throws: ConfigurationError.self) {
      try ClientConfiguration.kubeconfig(path: "/nowhere/config")
    }
    #expect(file.description.contains("/nowhere/config"))
    #expect(throws: ConfigurationError.self) { try ClientConfiguration.inCluster(environment: [:]) }
  }

  @Test(arguments: [
    ("", []), ("Zg==", [102]), ("Zm8=", [102, 111]), ("Zm9v", [102, 111, 111]), ("+/8=", [251, 255]),
  ])
  func base64(_ text: String, _ bytes: [UInt8]) {
    #expect(Base64.decode(text) == bytes)
  }

  @Test(arguments: ["Z", "Zg", "Zg=", "Z===", "Zg==Zg==", "Z g=", "===="])
  func refusesOtherText(_ text: String) {
    #expect(Base64.decode(text) == nil)
  }
}
