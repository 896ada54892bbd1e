import Files
import JSON
import KubernetesAPI
import Proxy
import Services
import TestSupport
import Testing

@testable import Agent

/// The files by which agent and proxy tell each other of listeners.
@Suite struct ListenerFolderTests {
  private func configuration(_ cluster: String) throws -> EnvoyConfig {
    try EnvoyConfig(
      document: JSONValue(
        parsing: """
          {"apiVersion":"cilium.io/v2","kind":"CiliumEnvoyConfig","metadata":{"name":"a","namespace":"default"},
           "spec":{"backendServices":[{"name":"web-v1"},{"name":"web-v2"}],"resources":[
           {"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"\(cluster)"}]}}
          """))
  }

  private func file(_ number: UInt32, _ cluster: String = "c") throws -> ListenerDocument {
    let configuration = try configuration(cluster)
    return ListenerDocument(
      number: number, ListenerID(object: configuration.key, listener: "l\(number)"), configuration)
  }

  @Test func anotherAgentFindsTheNumbers() throws {
    let directory = try TemporaryDirectory()
    let files = ProxyFiles(folder: directory.path)
    var folder = ListenerFolder(files)
    #expect(folder.owners.isEmpty)
    let (first, second) = (try file(3), try file(9))
    try folder.write(first)
    try folder.write(second)
    try folder.remove(9)
    try StateFiles.write(Array("{".utf8), to: files.listener(4))
    try StateFiles.write(first.content, to: files.listener(5))
    try folder.setLastNumber(9)
    let next = ListenerFolder(files)
    #expect(next.lastNumber == 9)
    #expect(next.owners == [first.id: 3] && next.generations == [3: first.generation])
    #expect(try StateFiles.list(files.listeners) == ["3.json"])
  }

  @Test func whatTheProxySays() throws {
    let directory = try TemporaryDirectory()
    let files = ProxyFiles(folder: directory.path)
    let folder = ListenerFolder(files)
    #expect(folder.answer == ListeningAnswer())
    let said = ListeningAnswer(listeners: [1: "a"], rejected: [2: .init(reason: "why", generation: "b")])
    try StateFiles.write(Array(said.json.text().utf8), to: files.listening)
    #expect(folder.answer == said)
    try StateFiles.write(Array("{".utf8), to: files.listening)
    #expect(folder.answer == ListeningAnswer())
  }

  @Test func goodVersionsAreKept() throws {
    let directory = try TemporaryDirectory()
    let versions = GoodVersions(folder: directory.path + "/routes")
    #expect(versions.all.isEmpty)
    let configuration = try configuration("c")
    try versions.set(configuration.key, configuration)
    #expect(versions.all == [configuration])
    try versions.set(configuration.key, nil)
    #expect(versions.all.isEmpty)
  }
}
