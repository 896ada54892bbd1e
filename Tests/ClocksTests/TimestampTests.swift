import Clocks
import Testing

@Suite struct TimestampTests {
  private static let time: UInt64 = 1_700_000_000_123_456_789

  @Test func `each reader has its form`() {
    #expect(Timestamp.text(Self.time) == "2023-11-14T22:13:20.123456789Z")
    #expect(Timestamp.milliseconds(Self.time) == "2023-11-14T22:13:20.123Z")
    #expect(Timestamp.text(seconds: 1_700_000_000) == "2023-11-14T22:13:20Z")
    #expect(Timestamp.compact(Self.time) == "Nov 14 22:13:20.123")
  }

  @Test(
    arguments: [
      ("2023-11-14T22:13:20Z", 1_700_000_000), ("2023-11-14T22:13:20.5Z", 1_700_000_000),
      ("2023-11-15T00:13:20+02:00", 1_700_000_000), ("2023-11-14T20:43:20-01:30", 1_700_000_000),
      ("2023-11-14 22:13:20Z", nil), ("2023-13-14T22:13:20Z", nil), ("2023-11-14T22:13:20", nil), ("", nil),
    ] as [(String, Int?)])
  func `a text is a time or nothing`(_ text: String, _ seconds: Int?) {
    #expect(Timestamp.seconds(of: text) == seconds)
  }
}
