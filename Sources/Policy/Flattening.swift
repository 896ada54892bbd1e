/// A term with its ports resolved to numbers: the unit that maps are made of.
struct Atom {
  enum Effect {
    case deny, allow
    /// An index into the table of rule lists at hand.
    case proxy(Int)
  }

  /// nil: every protocol, and then every port.
  let `protocol`: UInt8?
  let ports: ClosedRange<UInt16>
  let effect: Effect
  let rule: UInt32

  var coversAllPorts: Bool { ports == 0...UInt16.max }
}

/// An entry of one peer, before the peer and the ids of its rule sets are known.
struct FlatEntry: Equatable {
  let `protocol`: UInt8
  let port: UInt16
  let prefixLength: UInt8
  let ruling: Ruling
}

/// What the atoms that cover a point decide together.
struct Ruling: Equatable {
  var verdict: Verdict
  var rule: UInt32
  /// With `proxy`: the lists of rules of which one must match.
  var lists: [Int] = []
}

/// Turns the atoms that apply to one peer into prefix entries of which the longest that matches a packet is the whole
/// answer: deny over allow over the proxy, whose rules are united.
struct Flattening {
  let atoms: [Atom]
  /// Proxy atoms of peer 0. The kernel prefers the peer's rule set to that of peer 0, so it must contain it.
  let background: [Atom]
  private var entries: [FlatEntry] = []

  static func entries(of atoms: [Atom], background: [Atom]) -> [FlatEntry] {
    var flattening = Flattening(atoms: atoms, background: background)
    flattening.flatten()
    return flattening.entries
  }

  private init(atoms: [Atom], background: [Atom]) {
    self.atoms = atoms
    self.background = background
  }

  private mutating func flatten() {
    let everything = Flattening.ruling(of: atoms.filter { $0.protocol == nil }, over: nil)
    if let everything { append(0, 0, PolicyKey.peerPrefix, everything) }
    if everything?.verdict == .deny { return }
    for number in Set(atoms.compactMap(\.protocol)).sorted() {
      let relevant = atoms.filter { $0.protocol == number }
      let whole = Flattening.ruling(of: relevant.filter(\.coversAllPorts), over: everything)
      if let whole, whole != everything { append(number, 0, PolicyKey.protocolPrefix, whole) }
      if whole?.verdict != .deny { flattenPorts(number, relevant.filter { !$0.coversAllPorts }, over: whole) }
    }
  }

  private mutating func flattenPorts(_ number: UInt8, _ parts: [Atom], over whole: Ruling?) {
    let behind = background.filter { $0.protocol == number }
    // Each point where some atom begins, and each after one ends, starts a segment with one ruling.
    var starts = Set<UInt32>()
    for atom in parts + behind {
      starts.insert(UInt32(atom.ports.lowerBound))
      starts.insert(UInt32(atom.ports.upperBound) + 1)
    }
    let points = starts.sorted()
    var pending: (first: UInt32, ruling: Ruling)?
    for point in points {
      let ruling = point > UInt32(UInt16.max) ? nil : self.ruling(at: UInt16(point), parts, behind, over: whole)
      if ruling == pending?.ruling { continue }
      if let pending { append(number, pending.first...(point - 1), pending.ruling) }
      pending = ruling.map { (point, $0) }
    }
  }

  /// The ruling at a port where it differs from that of the whole protocol, else nil.
  private func ruling(at port: UInt16, _ parts: [Atom], _ behind: [Atom], over whole: Ruling?) -> Ruling? {
    var ruling = Flattening.ruling(of: parts.filter { $0.ports.contains(port) }, over: whole)
    if ruling?.verdict == .proxy {
      for atom in behind where atom.ports.contains(port) { ruling?.add(atom) }
    }
    return ruling == whole ? nil : ruling
  }

  private static func ruling(of atoms: [Atom], over whole: Ruling?) -> Ruling? {
    var ruling = whole
    for atom in atoms {
      if ruling == nil { ruling = Ruling(atom) } else { ruling?.add(atom) }
    }
    return ruling
  }

  private mutating func append(_ number: UInt8, _ ports: ClosedRange<UInt32>, _ ruling: Ruling) {
    let range = UInt16(ports.lowerBound)...UInt16(ports.upperBound)
    for block in PortBlocks.cover(range) {
      // One ruling over all ports replaces that of the whole protocol: it says more, in the same place.
      if block.bits == 0 { entries.removeAll { $0.protocol == number && $0.prefixLength == PolicyKey.protocolPrefix } }
      append(number, block.port, PolicyKey.protocolPrefix + block.bits, ruling)
    }
  }

  private mutating func append(_ number: UInt8, _ port: UInt16, _ prefixLength: UInt8, _ ruling: Ruling) {
    entries.append(FlatEntry(protocol: number, port: port, prefixLength: prefixLength, ruling: ruling))
  }
}

extension Ruling {
  fileprivate init(_ atom: Atom) {
    switch atom.effect {
    case .deny: self.init(verdict: .deny, rule: atom.rule)
    case .allow: self.init(verdict: .allow, rule: atom.rule)
    case .proxy(let list): self.init(verdict: .proxy, rule: atom.rule, lists: [list])
    }
  }

  /// The author is the first of those whose verdict stands.
  fileprivate mutating func add(_ atom: Atom) {
    switch (atom.effect, verdict) {
    case (.deny, .allow), (.deny, .proxy), (.allow, .proxy): self = Ruling(atom)
    case (.proxy(let list), .proxy): if !lists.contains(list) { lists.append(list) }
    case (.deny, .deny), (.allow, _), (.proxy, _): break
    }
  }
}
