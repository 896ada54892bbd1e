import Testing

@testable import LoadGenerator

@Suite struct ArrivalScheduleTests {
  @Test func `requests are due at equal distances whatever happens between`() {
    var schedule = ArrivalSchedule(start: 5_000, rate: 1_000_000)
    var times: [UInt64] = []
    for _ in 0..<4 {
      times.append(schedule.next)
      schedule.advance()
    }
    #expect(times == [5_000, 6_000, 7_000, 8_000])
  }

  @Test func `a rate that does not divide a second loses no request in an hour`() {
    let rate = 7.0 / 3
    let hour: UInt64 = 3_600_000_000_000
    #expect(ArrivalSchedule(start: 0, rate: rate).remaining(before: hour) == 8400)
  }

  @Test func `threads take turns`() {
    let shares = (0..<4).map { ArrivalSchedule(start: 0, rate: 1000, share: $0, of: 4) }
    #expect(shares.map(\.next) == [0, 1_000_000, 2_000_000, 3_000_000])
    #expect(shares.map { $0.remaining(before: 1_000_000_000) }.reduce(0, +) == 1000)
  }

  @Test func `nothing remains after the end`() {
    #expect(ArrivalSchedule(start: 10, rate: 1).remaining(before: 10) == 0)
  }
}
