/// Why a message is not taken for DNS.
public enum DNSFault: Error, Hashable, Sendable {
  case shorterThanItsHeader
  case truncatedField
  /// RFC 1035, 3.1: a name has at most 255 octets, a label 63.
  case nameTooLong
  /// RFC 1035, 4.1.4: a pointer leads to a prior occurrence of a name; others could go round in circles.
  case pointerNotBackwards
  /// The two high bits of a length are neither 00 nor 11.
  case unknownLabelType
  case questionCount
  case unexpectedRecords
  case addressLength
  /// A record whose name does not fill its data.
  case dataLength
  case secondOPT
  case octetsBehindTheEnd
  case notAQuery
  case notAnAnswer
  /// An answer to something else.
  case otherQuestion
}
