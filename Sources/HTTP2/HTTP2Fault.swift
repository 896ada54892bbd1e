/// Codes of RST_STREAM and GOAWAY (RFC 9113, 7).
public enum HTTP2ErrorCode: UInt32, Sendable {
  case noError = 0
  case protocolError = 1
  case internalError = 2
  case flowControlError = 3
  case settingsTimeout = 4
  case streamClosed = 5
  case frameSizeError = 6
  case refusedStream = 7
  case cancel = 8
  case compressionError = 9
  case connectError = 10
  case enhanceYourCalm = 11
  case inadequateSecurity = 12
  case http11Required = 13
}

/// What is wrong with what a peer sent. Whether it ends a stream or the connection depends on where it was met.
public enum HTTP2Fault: UInt8, Error, Hashable, Sendable, CaseIterable {
  case frameTooLarge, wrongFrameLength, wrongPadding, frameNeedsStream, frameHasStream
  case invalidIndex, integerTooLarge, truncatedHeaderBlock, invalidHuffman, lateTableSizeUpdate, tableSizeTooLarge
  case headerBlockTooLarge, tooManyContinuations, expectedContinuation, unexpectedContinuation
  case missingPreface, missingSettings, settingsAcknowledgementWithValues, wrongSetting, wrongInitialWindow
  case windowIncrementOfZero, windowTooLarge, windowExceeded
  case frameOnIdleStream, frameOnClosedStream, wrongStreamIdentifier, unexpectedPush, tooManyStreams
  case tooManyResets, tooManyIdleFrames
  case invalidFieldName, invalidFieldValue, connectionField, unexpectedTE
  case latePseudoField, unknownPseudoField, repeatedPseudoField, missingPseudoField, pseudoFieldInTrailers
  case invalidMethod, invalidScheme, invalidPath, invalidAuthority, hostDiffersFromAuthority, repeatedHost
  case invalidStatus, invalidContentLength, bodyDiffersFromLength, invalidTrailer, bodyBeforeHead, unendedTrailers

  public var code: HTTP2ErrorCode {
    switch self {
    case .frameTooLarge, .wrongFrameLength, .settingsAcknowledgementWithValues: .frameSizeError
    case .invalidIndex, .integerTooLarge, .truncatedHeaderBlock, .invalidHuffman, .lateTableSizeUpdate,
      .tableSizeTooLarge:
      .compressionError
    case .headerBlockTooLarge, .tooManyContinuations, .tooManyResets, .tooManyIdleFrames: .enhanceYourCalm
    case .wrongInitialWindow, .windowTooLarge, .windowExceeded: .flowControlError
    case .frameOnClosedStream: .streamClosed
    case .tooManyStreams: .refusedStream
    default: .protocolError
    }
  }
}

extension HTTP2Fault: CustomStringConvertible {
  public var description: String { "\(reason)" }

  public var reason: StaticString {
    switch self {
    case .frameTooLarge: "a frame is larger than it may be"
    case .wrongFrameLength: "a frame's length does not fit its type"
    case .wrongPadding: "a frame's padding is longer than the frame"
    case .frameNeedsStream: "a frame of a stream names none"
    case .frameHasStream: "a frame of the connection names a stream"
    case .invalidIndex: "a header block names an entry that is not there"
    case .integerTooLarge: "an integer in a header block is too large"
    case .truncatedHeaderBlock: "a header block ends inside a field"
    case .invalidHuffman: "a string in a header block is not well encoded"
    case .lateTableSizeUpdate: "a table size update stands behind a field"
    case .tableSizeTooLarge: "a table size update exceeds what was allowed"
    case .headerBlockTooLarge: "a header block is too large"
    case .tooManyContinuations: "a header block comes in too many frames"
    case .expectedContinuation: "a header block is interrupted by another frame"
    case .unexpectedContinuation: "a continuation follows no open header block"
    case .missingPreface: "the connection does not begin with the preface"
    case .missingSettings: "the first frame is not one of settings"
    case .settingsAcknowledgementWithValues: "an acknowledgement of settings has values"
    case .wrongSetting: "a setting has a value that it can not have"
    case .wrongInitialWindow: "the initial window exceeds its maximum"
    case .windowIncrementOfZero: "a window grows by nothing"
    case .windowTooLarge: "a window exceeds its maximum"
    case .windowExceeded: "more octets were sent than the window allows"
    case .frameOnIdleStream: "a frame is for a stream that was never opened"
    case .frameOnClosedStream: "a frame is for a stream that has ended"
    case .wrongStreamIdentifier: "a stream's number is even, or not above the last one"
    case .unexpectedPush: "a response was pushed unasked"
    case .tooManyStreams: "there are too many streams at once"
    case .tooManyResets: "too many streams were begun and given up"
    case .tooManyIdleFrames: "there are too many frames that do nothing"
    case .invalidFieldName: "a field name is not a token in lower case"
    case .invalidFieldValue: "a field value holds a control character or begins or ends in white space"
    case .connectionField: "a field about the connection has no place in HTTP/2"
    case .unexpectedTE: "te says something else than trailers"
    case .latePseudoField: "a pseudo field stands behind a field"
    case .unknownPseudoField: "there is a pseudo field that does not belong there"
    case .repeatedPseudoField: "a pseudo field is repeated"
    case .missingPseudoField: "a pseudo field is missing"
    case .pseudoFieldInTrailers: "a pseudo field stands in the trailers"
    case .invalidMethod: "the method is not a token"
    case .invalidScheme: "the scheme is malformed"
    case .invalidPath: "the path is malformed"
    case .invalidAuthority: "the authority is malformed"
    case .hostDiffersFromAuthority: "the host field differs from the authority"
    case .repeatedHost: "there is more than one host field"
    case .invalidStatus: "the status is not a number of three digits"
    case .invalidContentLength: "the content-length is not a number, or says two"
    case .bodyDiffersFromLength: "the body is longer or shorter than its content-length"
    case .invalidTrailer: "a trailer field is not allowed there"
    case .bodyBeforeHead: "the body begins before the final response"
    case .unendedTrailers: "the trailers do not end their stream"
    }
  }
}
