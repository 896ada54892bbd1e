import Crypto
import Files
import SwiftASN1
import X509

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// The server's own certificate authority and what it signed. Made once; later starts read the files.
struct PKI: Sendable {
  let authority: String
  let serverCertificate: String
  let serverKey: String
  let clientCertificate: String
  let clientKey: String
  /// The bearer token of the only user.
  let token: String

  /// - Parameters:
  ///   - directory: where the files live; made when it is missing.
  ///   - names: what clients may call the server: DNS names and addresses.
  init(directory: String, names: [String]) throws {
    try StateFiles.makeDirectories(directory)
    func read(_ name: String) throws -> String? {
      try StateFiles.readIfPresent("\(directory)/\(name)").map { String(decoding: $0, as: UTF8.self) }
    }
    func write(_ text: String, to name: String) throws {
      try StateFiles.write(Array(text.utf8), to: "\(directory)/\(name)")
    }
    let identity: (certificate: Certificate, key: Certificate.PrivateKey)
    if let key = try read("ca.key"), let certificate = try read("ca.crt"),
      let authority = try? (Certificate(pemEncoded: certificate), Certificate.PrivateKey(pemEncoded: key)),
      PKI.isValid(authority.0)
    {
      identity = authority
    } else {
      identity = try PKI.makeAuthority()
      try write(identity.key.serializeAsPEM().pemString + "\n", to: "ca.key")
      try write(identity.certificate.serializeAsPEM().pemString + "\n", to: "ca.crt")
    }
    authority = try identity.certificate.serializeAsPEM().pemString + "\n"

    func leaf(_ name: String, _ purpose: Leaf) throws -> (certificate: String, key: String) {
      if let key = try read("\(name).key"), let pem = try read("\(name).crt"),
        let certificate = try? Certificate(pemEncoded: pem), PKI.isValid(certificate),
        certificate.issuer == identity.certificate.subject,
        identity.certificate.publicKey.isValidSignature(certificate.signature, for: certificate),
        purpose.matches(certificate)
      {
        return (pem, key)
      }
      let made = try PKI.makeLeaf(purpose, identity)
      try write(made.key, to: "\(name).key")
      try write(made.certificate, to: "\(name).crt")
      return made
    }
    (serverCertificate, serverKey) = try leaf("apiserver", .server(names: names))
    (clientCertificate, clientKey) = try leaf("admin", .client)

    if let stored = try read("token")?.split(separator: "\n").first, stored.utf8.count >= 32 {
      token = String(stored)
    } else {
      token = SymmetricKey(size: .bits256).withUnsafeBytes { bytes in
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      }
      try write(token + "\n", to: "token")
    }
  }

  private enum Leaf {
    case server(names: [String])
    case client

    var alternativeNames: [GeneralName] {
      guard case .server(let names) = self else { return [] }
      return names.map { name in
        PKI.addressBytes(name).map { .ipAddress(ASN1OctetString(contentBytes: $0[...])) } ?? .dnsName(name)
      }
    }

    func matches(_ certificate: Certificate) -> Bool {
      guard case .server = self else { return true }
      let names = try? certificate.extensions.subjectAlternativeNames
      return Set(names ?? SubjectAlternativeNames([])).isSuperset(of: alternativeNames)
    }
  }

  private static func isValid(_ certificate: Certificate) -> Bool {
    // A month of margin: a certificate should not end while the server runs.
    certificate.notValidBefore <= Date() && certificate.notValidAfter > Date().addingTimeInterval(30 * 86400)
  }

  private static func makeAuthority() throws -> (certificate: Certificate, key: Certificate.PrivateKey) {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let name = try DistinguishedName { CommonName("martlet-ca") }
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: key.publicKey,
      notValidBefore: Date().addingTimeInterval(-300), notValidAfter: Date().addingTimeInterval(10 * 365 * 86400),
      issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        SubjectKeyIdentifier(hash: key.publicKey)
      }, issuerPrivateKey: key)
    return (certificate, key)
  }

  private static func makeLeaf(
    _ purpose: Leaf, _ authority: (certificate: Certificate, key: Certificate.PrivateKey)
  ) throws -> (certificate: String, key: String) {
    let key = Certificate.PrivateKey(P256.Signing.PrivateKey())
    let subject: DistinguishedName
    switch purpose {
    case .server: subject = try DistinguishedName { CommonName("martlet-apiserver") }
    case .client:
      subject = try DistinguishedName {
        OrganizationName("system:masters")
        CommonName("martlet-admin")
      }
    }
    let names = purpose.alternativeNames
    let certificate = try Certificate(
      version: .v3, serialNumber: .init(), publicKey: key.publicKey,
      notValidBefore: Date().addingTimeInterval(-300), notValidAfter: Date().addingTimeInterval(365 * 86400),
      issuer: authority.certificate.subject, subject: subject, signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        Critical(KeyUsage(digitalSignature: true))
        try ExtendedKeyUsage([names.isEmpty ? .clientAuth : .serverAuth])
        AuthorityKeyIdentifier(
          keyIdentifier: try authority.certificate.extensions.subjectKeyIdentifier?.keyIdentifier)
        if !names.isEmpty { SubjectAlternativeNames(names) }
      }, issuerPrivateKey: authority.key)
    return (try certificate.serializeAsPEM().pemString + "\n", try key.serializeAsPEM().pemString + "\n")
  }

  private static func addressBytes(_ text: String) -> [UInt8]? {
    if Formats.isIPv4(text) { return text.split(separator: ".").compactMap { UInt8($0) } }
    return Formats.isIPv6(text) ? IPv6Text.bytes(text) : nil
  }
}
