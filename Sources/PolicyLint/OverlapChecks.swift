import Policy
import ProxyRules

extension Report {
  /// Compares every statement with every other: what could go without a packet or a request being judged otherwise.
  mutating func checkOverlaps() {
    let statements = objects.enumerated().flatMap { index, object in
      object.document.map { Statement.all($0, object: index) } ?? []
    }
    // One port with several protocols makes several statements of one path; all of them must be superfluous.
    var groups: [Place: [Int]] = [:]
    for (number, statement) in statements.enumerated() {
      groups[Place(object: statement.object, path: statement.path), default: []].append(number)
    }
    var done: Set<Place> = []
    for statement in statements {
      let place = Place(object: statement.object, path: statement.path)
      guard done.insert(place).inserted, let members = groups[place] else { continue }
      check(members.map { statements[$0] }, at: place, statements)
    }
    checkRequests(statements)
  }

  struct Place: Hashable {
    let object: Int
    let path: String
  }

  private mutating func check(_ members: [Statement], at place: Place, _ all: [Statement]) {
    /// The first of those whose grant fits in which each member lies; of equal ones only an earlier one.
    func cover(sparingFirst: Bool = true, _ fits: (Statement.Grant) -> Bool) -> Statement? {
      var first: Statement?
      for member in members {
        let wider = all.first { other in
          (other.object, other.path) != (place.object, place.path) && fits(other.grant) && member.isWithin(other)
            && !(sparingFirst && Report.isLater(other, than: member) && other.isWithin(member))
        }
        guard let wider else { return nil }
        first = first ?? wider
      }
      return first
    }
    guard let member = members.first else { return }
    if !member.grant.isDeny, let wider = cover(sparingFirst: false, \.isDeny) {
      tell(.denied, place, wider, "never takes effect: all of it is denied by ")
    } else if member.grant.isDeny, let wider = cover(\.isDeny) {
      tell(.shadowed, place, wider, "changes nothing: all of it is denied already by ")
    } else if member.grant.isPlainAllow, let wider = cover(\.isPlainAllow) {
      tell(.shadowed, place, wider, "changes nothing: all of it is allowed already by ")
    } else if let first = member.grant.firstRulePath,
      let plain = all.first(where: { $0.grant.isPlainAllow && member.isWithin($0) })
    {
      let list = Place(object: place.object, path: first.droppingLastStep)
      tell(.bypassed, list, plain, "nothing is judged by these rules: all of it is allowed by ")
    }
  }

  private mutating func tell(_ check: Finding.Check, _ place: Place, _ other: Statement, _ message: String) {
    warn(
      check, place.object, place.path, message + cite(other.path, of: other.object, from: place.object),
      related: [objects[other.object].place(other.path)])
  }

  /// Rules about requests that other rules about requests imply, on the same port or a wider one.
  private mutating func checkRequests(_ statements: [Statement]) {
    var covers: [Place: [Place?]] = [:]
    var rules: [Place: HTTPRule] = [:]
    var order: [Place] = []
    for narrow in statements {
      guard case .http(let own) = narrow.grant else { continue }
      var candidates: [(place: Place, rule: HTTPRule)] = []
      for wide in statements {
        guard case .http(let terms) = wide.grant, narrow.isWithin(wide) else { continue }
        candidates += terms.map { (Place(object: wide.object, path: $0.path), $0.rule) }
      }
      var known: Set<Place> = []
      candidates = candidates.filter { known.insert($0.place).inserted }
      let numbered = candidates.enumerated().map { index, candidate in
        var rule = candidate.rule
        rule.id = UInt32(index)
        return rule
      }
      guard let shadowed = try? HTTPRuleSet(id: 0, rules: numbered).shadowedRules() else { continue }
      for term in own {
        let place = Place(object: narrow.object, path: term.path)
        if covers[place] == nil { order.append(place) }
        rules[place] = term.rule
        let found = shadowed.first { candidates[Int($0.ruleID)].place == place }
        covers[place, default: []].append(found.map { candidates[Int($0.shadowedBy)].place })
        if let found { rules[candidates[Int(found.shadowedBy)].place] = candidates[Int(found.shadowedBy)].rule }
      }
    }
    for place in order {
      // It may stand on several ports, and be superfluous on some only.
      guard let found = covers[place], let first = found.first, let cover = first, !found.contains(nil) else {
        continue
      }
      // What allows nothing has been told to.
      let isEmpty = findings.contains {
        $0.check == .neverMatches && $0.object == objects[place.object].key
          && $0.place.path.hasPrefix(objects[place.object].place(place.path).path)
      }
      if isEmpty { continue }
      let cited = cite(cover.path, of: cover.object, from: place.object)
      var message = "changes nothing: every request that it allows is allowed already by \(cited)"
      if let rule = rules[place], let wider = rules[cover], rule.headers.count + rule.headerMatches.count > 0,
        wider.headers.isEmpty, wider.headerMatches.isEmpty
      {
        let names = rule.headers + rule.headerMatches.map(\.name)
        message += ", so the header \(names[0]) is not required"
      }
      warn(
        .shadowed, place.object, place.path, message, related: [objects[cover.object].place(cover.path)])
    }
  }

  /// Of two that say the same, the later one is told to be superfluous.
  private static func isLater(_ left: Statement, than right: Statement) -> Bool {
    left.object != right.object ? left.object > right.object : left.path > right.path
  }
}

extension Statement.Grant {
  fileprivate var isDeny: Bool { if case .deny = self { true } else { false } }
  fileprivate var isPlainAllow: Bool { if case .allow = self { true } else { false } }
}

extension StringProtocol {
  /// `spec.rules.http[0]` -> `spec.rules.http`.
  fileprivate var droppingLastStep: String {
    lastIndex(of: "[").map { String(self[..<$0]) } ?? String(self)
  }
}
