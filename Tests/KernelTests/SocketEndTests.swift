import CMartletABI
import Glibc
import Netlink
import Testing

/// Sockets whose backend has gone are found by what the programs keep for them, and ended.
@Suite(.enabled(if: isRoot, "needs root")) struct SocketEndTests {
  private func entry(_ socket: DiagnosedSocket) -> martlet_socket? {
    socket.storage.flatMap { bytes in
      bytes.count == MemoryLayout<martlet_socket>.size
        ? bytes.withUnsafeBytes { $0.loadUnaligned(as: martlet_socket.self) } : nil
    }
  }

  @Test(arguments: ClientForm.allCases, DiagnosedSocket.Transport.allCases)
  func onlyTheSocketsOfABackendEnd(_ form: ClientForm, _ transport: DiagnosedSocket.Transport) throws {
    let stage = try SocketStage()
    let type = transport == .tcp ? SOCK_STREAM : SOCK_DGRAM
    let servers = try stage.servers(form.family, type, [1, 2])
    try stage.balance(form.family, transport.rawValue, number: 10, servers: [1])
    try stage.balance(form.family, transport.rawValue, number: 11, servers: [2])
    let gone = try stage.client(form, type)
    let kept = try stage.client(form, type)
    let direct = try stage.client(form, type)
    #expect(gone.connect(SocketStage.vip(form.family, 10)) == 0)
    #expect(kept.connect(SocketStage.vip(form.family, 11)) == 0)
    #expect(direct.connect(SocketStage.server(form.family, 1)) == 0)

    let diagnosis = try SocketDiagnosis(in: stage.namespace)
    let map = try stage.loaded.map("martlet_sockets").fileDescriptor
    let balanced = try diagnosis.connected(transport, storage: map).filter { entry($0) != nil }
    #expect(balanced.count == 2)
    let found = try #require(balanced.first { entry($0)?.backend == 1001 })
    #expect(found.destination.bytes == SocketStage.server(form.family, 1).address)
    #expect(found.destinationPort == 8080)
    #expect(try diagnosis.destroy(found))
    #expect(gone.pendingError == ECONNABORTED)
    #expect(kept.pendingError == 0 && direct.pendingError == 0)
    #expect(kept.peer == SocketStage.vip(form.family, 11))
    #expect(direct.peer == SocketStage.server(form.family, 1))
    // What is gone can not end again.
    #expect(try !diagnosis.destroy(found))
    withExtendedLifetime(servers) {}
  }
}
