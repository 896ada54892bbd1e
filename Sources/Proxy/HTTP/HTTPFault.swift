/// Why a message is refused. A reader that guesses may see another message than the next reader on the path does, and
/// that difference is what request smuggling lives on; so every ambiguity is a fault (RFC 9112, section 11.2).
public enum HTTPFault: UInt8, Error, Hashable, Sendable {
  case bareLineFeed
  case bareCarriageReturn
  case emptyRequest
  case invalidMethod
  case invalidTarget
  case invalidVersion
  case unsupportedVersion
  case targetTooLong
  case headTooLarge
  case foldedField
  case invalidFieldName
  case invalidFieldValue
  case tooManyFields
  case missingHost
  case repeatedHost
  case invalidHost
  case hostDiffersFromTarget
  case repeatedContentLength
  case invalidContentLength
  case lengthAndTransferEncoding
  case unsupportedTransferEncoding
  case transferEncodingBefore11
  case invalidChunkSize
  case invalidChunkExtension
  case chunkExtensionsTooLarge
  case invalidChunkEnd
  case invalidTrailer
  case trailersTooLarge
  case invalidStatusLine
  case unexpectedSwitch

  /// The status that tells a client what is wrong with its request. A response with the same fault is always 502.
  public var requestStatus: Int {
    switch self {
    case .targetTooLong: 414
    case .headTooLarge, .tooManyFields: 431
    case .unsupportedVersion: 505
    default: 400
    }
  }
}

extension HTTPFault: CustomStringConvertible {
  public var description: String { "\(reason)" }

  var reason: StaticString {
    switch self {
    case .bareLineFeed: "a line ends without a carriage return"
    case .bareCarriageReturn: "a carriage return stands inside a line"
    case .emptyRequest: "the request begins with empty lines"
    case .invalidMethod: "the method is not a token"
    case .invalidTarget: "the request target is malformed"
    case .invalidVersion: "the request line does not end in an HTTP version"
    case .unsupportedVersion: "only HTTP/1.0 and HTTP/1.1 are served here"
    case .targetTooLong: "the request line is too long"
    case .headTooLarge: "the head is too large"
    case .foldedField: "a field is folded over two lines"
    case .invalidFieldName: "a field name is not a token followed by a colon"
    case .invalidFieldValue: "a field value holds a control character"
    case .tooManyFields: "there are too many fields"
    case .missingHost: "there is no host field"
    case .repeatedHost: "there is more than one host field"
    case .invalidHost: "the host is malformed"
    case .hostDiffersFromTarget: "the host field differs from the target"
    case .repeatedContentLength: "there is more than one content-length"
    case .invalidContentLength: "the content-length is not a number"
    case .lengthAndTransferEncoding: "content-length and transfer-encoding stand together"
    case .unsupportedTransferEncoding: "the transfer-encoding is not exactly chunked"
    case .transferEncodingBefore11: "transfer-encoding needs HTTP/1.1"
    case .invalidChunkSize: "a chunk size is malformed"
    case .invalidChunkExtension: "a chunk extension is malformed"
    case .chunkExtensionsTooLarge: "the chunk extensions are too large"
    case .invalidChunkEnd: "a chunk is longer or shorter than its size"
    case .invalidTrailer: "a trailer field is malformed or not allowed there"
    case .trailersTooLarge: "the trailers are too large"
    case .invalidStatusLine: "the status line is malformed"
    case .unexpectedSwitch: "the server switched protocols unasked"
    }
  }
}
