/// The file that tells kubectl where the server is and who it is.
enum Kubeconfig {
  static func text(cluster: String, server: String, pki: PKI) -> String {
    """
    apiVersion: v1
    kind: Config
    clusters:
    - name: \(cluster)
      cluster:
        server: \(server)
        certificate-authority-data: \(Base64.encode(Array(pki.authority.utf8)))
    users:
    - name: \(cluster)-admin
      user:
        token: \(pki.token)
    contexts:
    - name: \(cluster)
      context:
        cluster: \(cluster)
        user: \(cluster)-admin
    current-context: \(cluster)

    """
  }
}
