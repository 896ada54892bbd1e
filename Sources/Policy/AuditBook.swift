import Addressing
import Identity
import KubernetesAPI
import ProxyRules

/// What the policies that are only watched would deny of what is allowed now: all policies together decide, and what they
/// deny is told where an audited one is the reason. Pure and immutable, so that many may ask while policies change.
public struct AuditBook: Sendable {
  /// What would be denied, and why.
  public struct Denial: Hashable, Sendable {
    public enum Cause: Hashable, Sendable {
      /// A deny rule.
      case rule(RuleOrigin)
      /// The end would be closed, and no rule allows it.
      case noRule
      /// It would have to be read, and carries nothing that can be.
      case unreadable
    }

    /// Of the end whose policy it is.
    public let direction: Direction
    public let cause: Cause
    /// The audited policies without which it would stay allowed, by their keys.
    public let objects: [ObjectKey]

    public init(direction: Direction, cause: Cause, objects: [ObjectKey]) {
      self.direction = direction
      self.cause = cause
      self.objects = objects
    }
  }

  /// The audited policies that close a subject; where one in force closes it anyway, those that narrow what others allow.
  struct Closing: Hashable, Sendable {
    let ingress: [ObjectKey]
    let egress: [ObjectKey]

    subscript(direction: Direction) -> [ObjectKey] { direction == .ingress ? ingress : egress }
  }

  /// The policies that are audited.
  public let objects: Set<ObjectKey>
  let rules: RuleTable
  /// The subjects that an audited policy selects.
  let closings: [NumericIdentity: Closing]
  let verdicts: PolicyVerdicts

  /// Whether an audited policy selects it.
  public func watches(_ subject: NumericIdentity) -> Bool { closings[subject] != nil }

  /// As ``PolicyVerdicts/identity(_:at:)``.
  public func identity(_ written: NumericIdentity, at address: IPAddress) -> NumericIdentity {
    verdicts.identity(written, at: address)
  }

  /// What of a connection that is let through would be denied at the end `subject`; nil: nothing, by an audited policy.
  ///
  /// - Parameters:
  ///   - direction: egress where the subject opens the connection.
  ///   - protocol: IPPROTO_*.
  ///   - port: the responder's; for ICMP and ICMPv6 the type.
  public func denial(
    of subject: NumericIdentity, _ direction: Direction, peer: NumericIdentity, protocol: UInt8, port: UInt16
  ) -> Denial? {
    guard let closing = closings[subject] else { return nil }
    switch verdicts.side(of: subject, direction, peer: peer, `protocol`, port) {
    case .allow: return nil
    case .deny(_, rule: 0):
      let objects = closing[direction]
      return objects.isEmpty ? nil : Denial(direction: direction, cause: .noRule, objects: objects)
    case .deny(_, let rule):
      guard let origin = rules[rule], let object = origin.object, objects.contains(object) else { return nil }
      return Denial(direction: direction, cause: .rule(origin), objects: [object])
    case .proxy(let sets):
      let isTCPOrUDP = TransportProtocol(`protocol`) == .tcp || TransportProtocol(`protocol`) == .udp
      let objects = reason(sets, closing[direction])
      return isTCPOrUDP || objects.isEmpty
        ? nil : Denial(direction: direction, cause: .unreadable, objects: objects)
    case .unreadable: return nil
    }
  }

  /// The rules that would judge what is said on a connection, and the audited policies to which that is due; nil where it
  /// would not be read, or would be without them.
  public func ruleSet(
    of subject: NumericIdentity, _ direction: Direction, peer: NumericIdentity, protocol: UInt8, port: UInt16
  ) -> (set: RuleSet, objects: [ObjectKey])? {
    guard let closing = closings[subject],
      case .proxy(let sets) = verdicts.side(of: subject, direction, peer: peer, `protocol`, port), let set = sets.first
    else { return nil }
    let objects = reason(sets, closing[direction])
    return objects.isEmpty ? nil : (set, objects)
  }

  /// Why something would be read: rules of audited policies, or one that closes what rules in force would else not bind.
  private func reason(_ sets: [RuleSet], _ closing: [ObjectKey]) -> [ObjectKey] {
    let authors = Set(sets.flatMap(\.rules.ids).compactMap { rules[$0]?.object }).intersection(objects)
    return authors.isEmpty ? closing : authors.sorted()
  }
}
