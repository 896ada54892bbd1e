import Datapath
import NodeAPI
import Policy
import Testing

@testable import Agent

@Suite struct TraceSidesTests {
  /// The side that the program names is the side that is blamed, whatever rules were found on the way.
  @Test(arguments: [
    // An egress deny by a rule, while the receiver's rule had been found too.
    (Direction.egress, 5 as UInt32, 6 as UInt32, [TraceResult.Verdict.denied]),
    (.egress, 0, 6, [.denied]),
    (.ingress, 5, 0, [.allowed, .denied]),
    (.ingress, 5, 6, [.allowed, .denied]),
  ])
  func denial(_ side: Direction, _ egress: UInt32, _ ingress: UInt32, _ outcomes: [TraceResult.Verdict]) {
    let verdict = TraceVerdict(
      verdict: .deny, dropReason: 133, direction: side, egressRule: egress, ingressRule: ingress, proxyRules: 0)
    let sides = TraceSides(verdict: verdict, from: true, to: true).sides
    #expect(sides.map(\.outcome) == outcomes)
    #expect(sides.map(\.rule) == [egress, ingress].prefix(outcomes.count).map { $0 })
  }

  @Test(arguments: [Direction.egress, .ingress]) func redirection(_ side: Direction) {
    let verdict = TraceVerdict(
      verdict: .proxy, dropReason: 0, direction: side, egressRule: 5, ingressRule: 6, proxyRules: 9)
    let sides = TraceSides(verdict: verdict, from: true, to: true).sides
    #expect(sides.map(\.outcome) == (side == .egress ? [.redirected, .allowed] : [.allowed, .redirected]))
  }

  @Test func bothSendItToTheProxy() {
    let verdict = TraceVerdict(
      verdict: .proxy, dropReason: 0, direction: .ingress, egressRule: 5, ingressRule: 6, proxyRules: 9,
      egressProxyRules: 8)
    let sides = TraceSides(verdict: verdict, from: true, to: true).sides
    #expect(sides.map(\.outcome) == [.redirected, .redirected])
  }

  /// What an audited end would have dropped is allowed, and said to be so; the other end is judged all the same.
  @Test(arguments: [
    (Set([Direction.egress]), nil as Direction?, [TraceResult.Verdict.allowed, .allowed]),
    ([.ingress], nil, [.allowed, .allowed]), ([.egress, .ingress], nil, [.allowed, .allowed]),
    ([.egress], .ingress, [.allowed, .denied]), ([.ingress], .egress, [.denied]),
  ])
  func audit(_ audited: Set<Direction>, _ denied: Direction?, _ outcomes: [TraceResult.Verdict]) {
    let verdict = TraceVerdict(
      verdict: denied == nil ? .allow : .deny, dropReason: denied == nil ? 0 : 133, direction: denied ?? .ingress,
      egressRule: 0, ingressRule: 0, proxyRules: 0, audited: audited)
    let sides = TraceSides(verdict: verdict, from: true, to: true).sides
    #expect(sides.map(\.outcome) == outcomes)
    #expect(Set(sides.filter(\.isAudited).map(\.direction)) == (denied == .egress ? [] : audited))
  }

  @Test func anEndElsewhereSaysNothing() {
    let verdict = TraceVerdict(
      verdict: .allow, dropReason: 0, direction: .ingress, egressRule: 5, ingressRule: 0, proxyRules: 0)
    #expect(TraceSides(verdict: verdict, from: true, to: false).sides.map(\.direction) == [.egress])
  }
}
