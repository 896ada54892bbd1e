import Addressing
import CNI
import Files
import JSON
import TestSupport
import Testing

@Suite struct AttachmentStoreTests {
  func attachment(_ id: String, _ address: String, at time: Int64) throws -> PodAttachment {
    try PodAttachment(
      key: CNIAttachmentKey(containerID: id, interfaceName: "eth0"), podNamespace: "default", podName: "web",
      podUID: "u1", netns: "/run/netns/\(id)", hostInterface: "mlt01234567",
      hostMAC: #require(MACAddress("02:00:00:00:00:01")), podMAC: #require(MACAddress("02:00:00:00:00:02")), mtu: 1500,
      addresses: [#require(IPAddress(address)), #require(IPAddress("fd00::2"))], createdAt: time)
  }

  @Test func recordsComeBackOldestFirst() throws {
    let directory = try TemporaryDirectory()
    let store = try AttachmentStore(stateDirectory: directory.path)
    #expect(try store.load().attachments.isEmpty)
    let late = try attachment("a", "10.0.0.3", at: 2)
    let early = try attachment("b", "10.0.0.2", at: 1)
    for record in [late, early, late] { try store.save(record) }
    #expect(try store.load().attachments == [early, late])
    try store.remove(early.key)
    try store.remove(early.key)
    #expect(try store.load().attachments == [late])
  }

  @Test func brokenRecordsAreNamed() throws {
    let directory = try TemporaryDirectory()
    let store = try AttachmentStore(stateDirectory: directory.path)
    try store.save(attachment("a", "10.0.0.3", at: 2))
    try StateFiles.write(Array("{}".utf8), to: store.directory + "/x.json")
    try StateFiles.write(Array("{".utf8), to: store.directory + "/y.json.12.tmp")
    let (attachments, problems) = try store.load()
    #expect(attachments.count == 1)
    #expect(problems.count == 1)
    #expect(problems.first?.contains("x.json") == true)
  }

  @Test func namesThatCouldMeetDoNot() {
    let one = CNIAttachmentKey(containerID: "a-b", interfaceName: "c")
    let other = CNIAttachmentKey(containerID: "a", interfaceName: "b-c")
    #expect(one.fileName != other.fileName)
  }

  @Test func theResultIsWhatAddAnswers() throws {
    let result = try attachment("a", "10.0.0.3", at: 2).result
    #expect(result.addresses.map { "\($0.address)/\($0.length)" } == ["10.0.0.3/32", "fd00::2/128"])
    #expect(result.routes.map(\.destination.description) == ["0.0.0.0/0", "::/0"])
    #expect(result.interfaces.map(\.name) == ["mlt01234567", "eth0"])
  }
}
