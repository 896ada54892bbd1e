import Testing

@testable import HTTP2

@Suite struct StateTests {
  enum Event: Sendable {
    case receive(FrameType, Bool)
    case send(Bool)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var events: [Event]
    var state: StreamState
    var fault: HTTP2Fault?
  }

  /// RFC 9113, 5.1.
  static let cases: [Case] = [
    Case(testDescription: "request without body", events: [.receive(.headers, true)], state: .halfClosedRemote),
    Case(
      testDescription: "request and response", events: [.receive(.headers, true), .send(false), .send(true)],
      state: .closed),
    Case(
      testDescription: "response before the request's end",
      events: [.receive(.headers, false), .send(true), .receive(.data, true)], state: .closed),
    Case(
      testDescription: "trailers",
      events: [.receive(.headers, false), .receive(.data, false), .receive(.headers, true)],
      state: .halfClosedRemote),
    Case(
      testDescription: "DATA on an idle stream", events: [.receive(.data, false)], state: .idle,
      fault: .frameOnIdleStream),
    Case(
      testDescription: "RST_STREAM on an idle stream", events: [.receive(.resetStream, false)], state: .idle,
      fault: .frameOnIdleStream),
    Case(
      testDescription: "WINDOW_UPDATE on an idle stream", events: [.receive(.windowUpdate, false)], state: .idle,
      fault: .frameOnIdleStream),
    Case(
      testDescription: "DATA after the end", events: [.receive(.headers, true), .receive(.data, false)],
      state: .halfClosedRemote, fault: .frameOnClosedStream),
    Case(
      testDescription: "HEADERS after the end", events: [.receive(.headers, true), .receive(.headers, true)],
      state: .halfClosedRemote, fault: .frameOnClosedStream),
    Case(
      testDescription: "DATA after RST_STREAM",
      events: [.receive(.headers, false), .receive(.resetStream, false), .receive(.data, false)], state: .closed,
      fault: .frameOnClosedStream),
    Case(
      testDescription: "WINDOW_UPDATE after the end",
      events: [.receive(.headers, true), .send(true), .receive(.windowUpdate, false)], state: .closed),
  ]

  @Test(arguments: cases) func streams(_ example: Case) {
    var state = StreamState.idle
    var fault: HTTP2Fault?
    for event in example.events {
      switch event {
      case .receive(let type, let end): fault = fault ?? state.receive(type, endStream: end)
      case .send(let end): state.send(endStream: end)
      }
    }
    #expect(state == example.state && fault == example.fault)
  }

  /// RFC 9113, 6.9.
  @Test func windows() {
    var window = SendWindow(65535)
    window.take(65535)
    #expect(window.grow(0) == .windowIncrementOfZero)
    #expect(window.adjust(-10) == nil)
    #expect(window.octets == -10)
    #expect(window.grow(0x7FFF_FFFF) == nil)
    #expect(window.grow(10) == nil)
    #expect(window.octets == 0x7FFF_FFFF)
    #expect(window.grow(1) == .windowTooLarge)
    #expect(window.adjust(1) == .windowTooLarge)
    var receive = ReceiveWindow(100)
    #expect(receive.receive(101) == .windowExceeded)
    #expect(receive.receive(100) == nil)
    #expect(receive.receive(1) == .windowExceeded)
    #expect(receive.giveBack(49) == 0)
    #expect(receive.receive(1) == .windowExceeded)
    #expect(receive.giveBack(1) == 50)
    #expect(receive.receive(50) == nil)
    #expect(receive.receive(1) == .windowExceeded)
  }

  @Test func `a budget is spent, earned and filled by time`() {
    var budget = Budget(burst: 10, perSecond: 2)
    func spent(until now: UInt64) -> Int {
      var count = 0
      while budget.spend(now: now) { count += 1 }
      return count
    }
    #expect(spent(until: 1) == 10)
    #expect(spent(until: 500_000_000) == 0)
    #expect(spent(until: 500_000_002) == 1)
    budget.earn(3)
    #expect(spent(until: 500_000_003) == 3)
    #expect(spent(until: .max / 2) == 10)
    budget.earn(100)
    #expect(spent(until: .max / 2) == 10)
  }

  @Test func `every fault has a sentence in lower case`() {
    for fault in HTTP2Fault.allCases {
      let text = fault.description
      #expect(text.first?.isLowercase == true && !text.hasSuffix("."))
    }
    #expect(Set(HTTP2Fault.allCases.map(\.description)).count == HTTP2Fault.allCases.count)
  }
}
