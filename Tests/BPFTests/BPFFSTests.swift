import Glibc
import Testing

@testable import BPF

@Suite(.enabled(if: isRoot, "needs root")) struct BPFFSTests {
  @Test func mountsWhereThereIsNone() throws {
    let path = "/tmp/bpftests-mount-\(getpid())"
    defer { rmdir(path) }
    #expect(!BPFFS.isMounted(at: path))
    try BPFFS.ensureMounted(at: path)
    defer { umount2(path, Int32(MNT_DETACH)) }
    #expect(BPFFS.isMounted(at: path))
    try BPFFS.ensureMounted(at: path)
    let map = try RawMap.create(.array, name: "here", keySize: 4, valueSize: 4, maxEntries: 1)
    try BPFFS.makeDirectories(path + "/a/b/c")
    try map.pin(at: path + "/a/b/c/here")
    try map.pin(at: path + "/a/top")
    // The kernel puts iterators of its own (maps.debug, progs.debug) into a new mount.
    #expect(try BPFFS.list(path).filter { !$0.contains(".") } == ["a"])
    #expect(try BPFFS.list(path + "/a") == ["b", "top"])
    try BPFFS.remove(path + "/a")
    try BPFFS.remove(path + "/a")
    #expect(try !BPFFS.list(path).contains("a"))
  }

  @Test func refusesOtherFileSystems() throws {
    #expect(!BPFFS.isMounted(at: "/tmp"))
    #expect(try BPFFS.list("/nonexistent").isEmpty)
    let map = try RawMap.create(.array, name: "here", keySize: 4, valueSize: 4, maxEntries: 1)
    let error = try #require(throws: BPFError.self) { try map.pin(at: "/tmp/bpftests-pin") }
    #expect(error.call == "BPF_OBJ_PIN" && error.detail == "/tmp/bpftests-pin")
    #expect(throws: BPFError.self) { try BPFFS.ensureMounted(at: "/nonexistent/deep/path") }
  }
}
