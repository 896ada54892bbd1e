/// What `\p{…}` names: Unicode's general categories and scripts.
enum UnicodeClasses {
  /// The set of a general category (`Lu`), of a group of them (`L`), of a script (`Greek`), or `Any`; nil for another
  /// name.
  static func named(_ name: String) -> ScalarSet? {
    if name == "Any" { return ScalarSet.all }
    if let set = categories[name] { return set }
    guard name.utf8.count == 1 else { return UnicodeScripts.named(name) }
    let parts = categories.filter { $0.key.hasPrefix(name) }
    return parts.isEmpty ? nil : ScalarSet(parts.values.flatMap(\.ranges))
  }

  private static let categories: [String: ScalarSet] = {
    var ranges: [String: [ClosedRange<UInt32>]] = [:]
    var run: (name: String, range: ClosedRange<UInt32>)?
    func close() {
      if let run { ranges[run.name, default: []].append(run.range) }
      run = nil
    }
    // The planes between are unassigned.
    for block: ClosedRange<UInt32> in [0...0x3FFFF, 0xE0000...0xE0FFF] {
      for value in block {
        guard let name = Unicode.Scalar(value).flatMap({ abbreviation(of: $0.properties.generalCategory) }) else {
          close()
          continue
        }
        if let current = run, current.name == name {
          run = (name, current.range.lowerBound...value)
        } else {
          close()
          run = (name, value...value)
        }
      }
      close()
    }
    ranges["Co", default: []] += [0xF0000...0xFFFFD, 0x100000...0x10FFFD]
    ranges["Cs"] = [0xD800...0xDFFF]
    return ranges.mapValues { ScalarSet($0) }
  }()

  private static func abbreviation(of category: Unicode.GeneralCategory) -> String? {
    switch category {
    case .uppercaseLetter: "Lu"
    case .lowercaseLetter: "Ll"
    case .titlecaseLetter: "Lt"
    case .modifierLetter: "Lm"
    case .otherLetter: "Lo"
    case .nonspacingMark: "Mn"
    case .spacingMark: "Mc"
    case .enclosingMark: "Me"
    case .decimalNumber: "Nd"
    case .letterNumber: "Nl"
    case .otherNumber: "No"
    case .connectorPunctuation: "Pc"
    case .dashPunctuation: "Pd"
    case .openPunctuation: "Ps"
    case .closePunctuation: "Pe"
    case .initialPunctuation: "Pi"
    case .finalPunctuation: "Pf"
    case .otherPunctuation: "Po"
    case .mathSymbol: "Sm"
    case .currencySymbol: "Sc"
    case .modifierSymbol: "Sk"
    case .otherSymbol: "So"
    case .spaceSeparator: "Zs"
    case .lineSeparator: "Zl"
    case .paragraphSeparator: "Zp"
    case .control: "Cc"
    case .format: "Cf"
    case .surrogate: "Cs"
    case .privateUse: "Co"
    case .unassigned: nil  // RE2 has no Cn, and its C is without it.
    @unknown default: nil
    }
  }
}
