import Testing

@testable import LoadGenerator

@Suite struct ResponseReaderTests {
  static let complete: [(String, Int, Bool)] = [
    ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, true),
    ("HTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n", 200, true),
    ("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 403, false),
    ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, false),
    ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\nx", 200, true),
    ("HTTP/1.1 204 No Content\r\n\r\n", 204, true),
    ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", 201, true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n", 200, true),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\nh\r\n0\r\nTrailer: a\r\n\r\n", 200, true),
  ]

  @Test(arguments: complete, [1, 2, 7, 1000])
  func `a response ends where it says, in pieces of any size`(expected: (String, Int, Bool), piece: Int) {
    var reader = ResponseReader()
    let bytes = Array(expected.0.utf8)
    var outcomes: [ResponseReader.Outcome] = []
    for start in stride(from: 0, to: bytes.count, by: piece) {
      bytes[start..<min(start + piece, bytes.count)].withUnsafeBytes { outcomes.append(reader.read($0)) }
    }
    #expect(outcomes.last == .complete)
    #expect(outcomes.dropLast().allSatisfy { $0 == .more })
    #expect(reader.status == expected.1)
    #expect(reader.keepsConnection == expected.2)
  }

  @Test(arguments: [
    "SSH-2.0-OpenSSH_9.2p1\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
  ])
  func `what is no response is malformed`(text: String) {
    var reader = ResponseReader()
    let outcome = Array(text.utf8).withUnsafeBytes { reader.read($0) }
    guard case .malformed = outcome else {
      Issue.record("\(outcome)")
      return
    }
  }

  @Test func `a body without a length ends with the connection, one with a length does not`() {
    var reader = ResponseReader()
    #expect(Array("HTTP/1.1 200 OK\r\n\r\nab".utf8).withUnsafeBytes { reader.read($0) } == .more)
    #expect(reader.readEnd() == .complete)
    reader.reset()
    #expect(Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab".utf8).withUnsafeBytes { reader.read($0) } == .more)
    #expect(reader.readEnd() != .complete)
  }

  @Test func `HEAD has no body`() {
    var reader = ResponseReader(isHead: true)
    let text = Array("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".utf8)
    #expect(text.withUnsafeBytes { reader.read($0) } == .complete)
  }
}
