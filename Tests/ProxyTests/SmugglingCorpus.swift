import Testing

@testable import Proxy

/// Messages on which two readers are known to disagree, and why each is refused.
enum SmugglingCorpus {
  struct Scenario: Sendable, CustomTestStringConvertible {
    let name: String
    let stream: String
    let fault: HTTPFault

    init(_ name: String, _ stream: String, _ fault: HTTPFault) {
      self.name = name
      self.stream = stream
      self.fault = fault
    }

    var testDescription: String { name }
  }

  private static func post(_ fields: String, _ body: String = "") -> String {
    "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n\(body)"
  }

  private static func chunked(_ body: String) -> String { post("Transfer-Encoding: chunked", body) }

  private static func get(_ fields: String) -> String { "GET / HTTP/1.1\r\n\(fields)\r\n\r\n" }

  static let requests: [Scenario] = framing + chunks + lines + hosts + targets

  static let framing: [Scenario] = [
    .init("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked", "0\r\n\r\nG"), .lengthAndTransferEncoding),
    .init("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4", "5c\r\n"), .lengthAndTransferEncoding),
    .init("two equal lengths", post("Content-Length: 5\r\nContent-Length: 5", "hello"), .repeatedContentLength),
    .init("two lengths", post("Content-Length: 5\r\nContent-Length: 6", "hello"), .repeatedContentLength),
    .init("length list", post("Content-Length: 5, 5", "hello"), .invalidContentLength),
    .init("signed length", post("Content-Length: +5", "hello"), .invalidContentLength),
    .init("negative length", post("Content-Length: -1"), .invalidContentLength),
    .init("hexadecimal length", post("Content-Length: 0x5", "hello"), .invalidContentLength),
    .init("empty length", post("Content-Length:"), .invalidContentLength),
    .init("length that overflows", post("Content-Length: 18446744073709551617", "h"), .invalidContentLength),
    .init("length with a blank inside", post("Content-Length: 1 0", "hello"), .invalidContentLength),
    .init("gzip, chunked", post("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), .unsupportedTransferEncoding),
    .init("chunked, identity", post("Transfer-Encoding: chunked, identity"), .unsupportedTransferEncoding),
    .init("identity", post("Transfer-Encoding: identity"), .unsupportedTransferEncoding),
    .init("xchunked", post("Transfer-Encoding: xchunked"), .unsupportedTransferEncoding),
    .init("quoted chunked", post("Transfer-Encoding: \"chunked\""), .unsupportedTransferEncoding),
    .init("chunked with parameter", post("Transfer-Encoding: chunked;q=1"), .unsupportedTransferEncoding),
    .init("chunked, chunked", post("Transfer-Encoding: chunked, chunked"), .unsupportedTransferEncoding),
    .init("leading comma", post("Transfer-Encoding: ,chunked"), .unsupportedTransferEncoding),
    .init(
      "transfer-encoding twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
      .unsupportedTransferEncoding),
    .init(
      "transfer-encoding twice, one unknown", post("Transfer-Encoding: chunked\r\nTransfer-encoding: cow"),
      .unsupportedTransferEncoding),
    .init("vertical tab before chunked", post("Transfer-Encoding: \u{0B}chunked"), .invalidFieldValue),
    .init(
      "chunked in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      .transferEncodingBefore11),
  ]

  static let chunks: [Scenario] = [
    .init("chunk size with 0x", chunked("0x5\r\nhello\r\n0\r\n\r\n"), .invalidChunkSize),
    .init("chunk size with sign", chunked("+5\r\nhello\r\n0\r\n\r\n"), .invalidChunkSize),
    .init("negative chunk size", chunked("-1\r\n"), .invalidChunkSize),
    .init("blank before chunk size", chunked(" 5\r\nhello\r\n"), .invalidChunkSize),
    .init("blank behind chunk size", chunked("5 \r\nhello\r\n"), .invalidChunkSize),
    .init("empty chunk size", chunked("\r\nhello\r\n"), .invalidChunkSize),
    .init("chunk size that overflows", chunked("10000000000000005\r\nhello\r\n"), .invalidChunkSize),
    .init("chunk size with underscore", chunked("1_0\r\n"), .invalidChunkSize),
    .init("chunk size ends in LF", chunked("5\nhello\r\n0\r\n\r\n"), .invalidChunkSize),
    .init("chunk size ends in CR", chunked("5\rhello\r\n0\r\n\r\n"), .bareCarriageReturn),
    .init("extension ends in LF", chunked("5;a\nhello\r\n0\r\n\r\n"), .invalidChunkExtension),
    .init("extension holds CR", chunked("5;a\rX\nhello\r\n0\r\n\r\n"), .bareCarriageReturn),
    .init("quoted extension holds LF", chunked("5;a=\"\n\"\r\nhello\r\n"), .invalidChunkExtension),
    .init("quoted extension holds CRLF", chunked("5;a=\"\r\n\"\r\nhello\r\n"), .invalidChunkExtension),
    .init("extension holds NUL", chunked("5;a=\0\r\nhello\r\n"), .invalidChunkExtension),
    .init("extension without name", chunked("5;\r\nhello\r\n"), .invalidChunkExtension),
    .init("chunk longer than its size", chunked("5\r\nhello!\r\n0\r\n\r\n"), .invalidChunkEnd),
    .init("chunk ends in LF", chunked("5\r\nhello\n0\r\n\r\n"), .invalidChunkEnd),
    .init("chunk ends in CR only", chunked("5\r\nhello\r0\r\n\r\n"), .invalidChunkEnd),
    .init("last chunk ends in LF", chunked("0\n\n"), .invalidChunkSize),
    .init("trailers end in LF", chunked("0\r\nX: y\n\r\n"), .invalidTrailer),
    .init("trailer with bare CR", chunked("0\r\nX: y\rZ\r\n\r\n"), .bareCarriageReturn),
    .init("trailer content-length", chunked("0\r\nContent-Length: 5\r\n\r\n"), .invalidTrailer),
    .init("trailer transfer-encoding", chunked("0\r\ntransfer-encoding: x\r\n\r\n"), .invalidTrailer),
    .init("trailer host", chunked("0\r\nHOST: b\r\n\r\n"), .invalidTrailer),
    .init("folded trailer", chunked("0\r\nX: y\r\n z\r\n\r\n"), .invalidTrailer),
    .init("trailer without colon", chunked("0\r\nGET / HTTP/1.1\r\n\r\n"), .invalidTrailer),
    .init("end in CR only", chunked("0\r\n\rG"), .bareCarriageReturn),
  ]

  static let lines: [Scenario] = [
    .init("fields end in LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", .bareLineFeed),
    .init("request line ends in LF", "GET / HTTP/1.1\nHost: a\r\n\r\n", .bareLineFeed),
    .init("head ends in LF", "GET / HTTP/1.1\r\nHost: a\r\n\n", .bareLineFeed),
    .init("all lines end in LF", "GET / HTTP/1.1\nHost: a\n\n", .bareLineFeed),
    .init("leading LF", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareLineFeed),
    .init("two leading empty lines", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .emptyRequest),
    .init("leading CR", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", .bareCarriageReturn),
    .init("CR in a value", get("Host: a\r\nX: a\rTransfer-Encoding: chunked"), .bareCarriageReturn),
    .init("CR CR LF", get("Host: a\r\nX: a\r"), .bareCarriageReturn),
    .init("NUL in a value", get("Host: a\r\nX: a\0b"), .invalidFieldValue),
    .init("DEL in a value", get("Host: a\r\nX: a\u{7F}b"), .invalidFieldValue),
    .init("escape in a value", get("Host: a\r\nX: \u{1B}[0m"), .invalidFieldValue),
    .init("folded field", get("Host: a\r\nX: b\r\n c"), .foldedField),
    .init("field folded with tab", get("Host: a\r\nX: b\r\n\tc"), .foldedField),
    .init("first field begins with blank", get(" Host: a"), .foldedField),
    .init("folded transfer-encoding", post("Transfer-Encoding:\r\n chunked"), .foldedField),
    .init("blank before colon", post("Content-Length : 5", "hello"), .invalidFieldName),
    .init("tab before colon", post("Transfer-Encoding\t: chunked"), .invalidFieldName),
    .init("empty field name", get("Host: a\r\n: b"), .invalidFieldName),
    .init("field without colon", get("Host: a\r\nFoo"), .invalidFieldName),
    .init("blank in a field name", get("Host: a\r\nContent Length: 5"), .invalidFieldName),
    .init("NUL in a field name", get("Host: a\r\nContent-Length\0: 5"), .invalidFieldName),
    .init("slash in a field name", get("Host: a\r\nA/B: 5"), .invalidFieldName),
  ]

  static let hosts: [Scenario] = [
    .init("no host", "GET / HTTP/1.1\r\n\r\n", .missingHost),
    .init("two hosts", get("Host: a\r\nHost: b"), .repeatedHost),
    .init("two equal hosts", get("Host: a\r\nhost: a"), .repeatedHost),
    .init("two hosts in 1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", .repeatedHost),
    .init("host with path", get("Host: a/b"), .invalidHost),
    .init("host with user", get("Host: u@a"), .invalidHost),
    .init("host with blank", get("Host: a b"), .invalidHost),
    .init("target and host differ", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", .hostDiffersFromTarget),
    .init("target and port differ", "GET http://a:1/ HTTP/1.1\r\nHost: a\r\n\r\n", .hostDiffersFromTarget),
    .init("authority and host differ", "CONNECT a:1 HTTP/1.1\r\nHost: b:1\r\n\r\n", .hostDiffersFromTarget),
  ]

  static let targets: [Scenario] = [
    .init("HTTP/0.9", "GET /\r\n\r\n", .invalidVersion),
    .init("no target", "GET HTTP/1.1\r\nHost: a\r\n\r\n", .invalidVersion),
    .init("empty target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("two blanks before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", .invalidVersion),
    .init("blank in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", .invalidVersion),
    .init("tab in the target", "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("tab behind the method", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
    .init("NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("octets above ASCII in the target", "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("fragment in the target", "GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("star without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("user in the target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("absolute target without path", "GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("CONNECT with a path", "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", .invalidTarget),
    .init("blank behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .invalidVersion),
    .init("lower case version", "GET / http/1.1\r\nHost: a\r\n\r\n", .invalidVersion),
    .init("version of two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", .invalidVersion),
    .init("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", .unsupportedVersion),
    .init("nearly the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nXM\r\n\r\n", .unsupportedVersion),
    .init("TLS", "\u{16}\u{03}\u{01}\u{02}\u{00}", .invalidMethod),
    .init("method with a slash", "GE/T / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
    .init("leading blank", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", .invalidMethod),
    .init("response instead of request", "HTTP/1.1 200 OK\r\n\r\n", .invalidMethod),
  ]
}
