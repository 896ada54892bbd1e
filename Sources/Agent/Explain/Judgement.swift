import Addressing
import Datapath
import NodeAPI
import Policy
import ProxyRules

/// A connection that is asked about, with its ends found.
struct TraceQuestion {
  let from: TraceEnd
  let fromName: String
  var to: TraceEnd
  var toName: String
  let transport: TransportProtocol
  var port: UInt16
  let spoken: Spoken?

  func stage(_ direction: Direction) -> String {
    direction == .egress ? "egress of \(fromName)" : "ingress of \(toName)"
  }
}

/// A connection, and what is said on it, as the loaded program and the rules of the proxy judged it.
struct Judgement {
  /// What one part of the way said; `direction` is nil where it was not policy about the connection that said it.
  struct Stage {
    let direction: Direction?
    let step: TraceResult.Step
    /// The rules that judged what is said.
    var ruleSet: RuleSet?
  }

  let question: TraceQuestion
  let result: TraceResult.Verdict
  var stages: [Stage]

  init(_ question: TraceQuestion, _ result: TraceResult.Verdict, _ stages: [Stage]) {
    self.question = question
    self.result = result
    self.stages = stages
  }

  /// Of what no policy is asked about.
  init(_ question: TraceQuestion, _ result: TraceResult.Verdict, sayingAlways reason: String) {
    let step = TraceResult.Step(stage: "loopback", verdict: result, reason: reason, rule: nil)
    self.init(question, result, [Stage(direction: nil, step: step)])
  }
}

extension TraceResult.Verdict {
  /// Of all backends that a connection may get.
  init(of parts: [TraceResult.Verdict]) {
    let first = parts.first ?? .denied
    self = parts.allSatisfy { $0 == first } ? first : .mixed
  }
}
