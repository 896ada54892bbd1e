import Files
import JSON
import KubernetesAPI
import Services
import TestSupport
import Testing

@testable import Agent

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

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

  private func file(_ number: UInt32, _ cluster: String = "c") throws -> ListenerFile {
    let configuration = try configuration(cluster)
    return ListenerFile(number: number, ListenerID(object: configuration.key, listener: "l\(number)"), configuration)
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
    let next = ListenerFolder(files)
    #expect(next.owners == [first.id: 3] && next.generations == [3: first.generation])
    #expect(try StateFiles.list(files.listeners) == ["3.json"])
  }

  @Test func aRefusalIsAboutWhatWasThereBefore() throws {
    let directory = try TemporaryDirectory()
    let files = ProxyFiles(folder: directory.path)
    var folder = ListenerFolder(files)
    func answer(_ text: String) throws { try StateFiles.write(Array(text.utf8), to: files.listening) }
    try folder.write(try file(1))
    #expect(folder.report() == ListeningReport())
    try answer(#"{"listeners":{},"rejected":{"1":"why"}}"#)
    #expect(folder.hasNews)
    #expect(folder.report().refused == [1: "why"] && !folder.hasNews)
    let better = try file(1, "d")
    try folder.write(better)
    #expect(folder.report().refused.isEmpty)
    try answer(#"{"listeners":{"1":"\#(better.generation)"},"rejected":{}}"#)
    #expect(folder.report().served == [1: better.generation])
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
