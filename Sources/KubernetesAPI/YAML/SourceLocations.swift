import Yams

/// Where the fields of one YAML document were written, by the paths that decoding errors carry.
public struct SourceLocations: Sendable {
  private struct Place: Sendable {
    let position: SourcePosition
    /// By key, or by index; the position of a member is that of its key.
    let children: [String: Place]

    init(_ node: Yams.Node, at mark: Mark?) {
      position = SourcePosition(line: mark?.line ?? 1, column: mark?.column ?? 1)
      var children: [String: Place] = [:]
      switch node {
      case .mapping(let mapping):
        for (key, value) in mapping {
          if let name = key.scalar?.string { children[name] = Place(value, at: key.mark ?? mark) }
        }
      case .sequence(let sequence):
        for (index, element) in sequence.enumerated() {
          children[String(index)] = Place(element, at: element.mark ?? mark)
        }
      case .scalar, .alias: break
      }
      self.children = children
    }
  }

  private let root: Place

  /// `root` must have been read already, which bounds its size.
  init(root: Yams.Node) { self.root = Place(root, at: root.mark) }

  /// The place of the field at `path` (`spec.ingress[0].toPorts[1].ports[0].port`): that of its key, or of the element
  /// of a list. A field that was not written has the place of the nearest enclosing one that was.
  public subscript(path: String) -> SourcePosition {
    var place = root
    for step in SourceLocations.steps(path) {
      guard let next = place.children[step] else { break }
      place = next
    }
    return place.position
  }

  /// `a.b[0][x.y/z]` -> a, b, 0, x.y/z.
  public static func steps(_ path: String) -> [String] {
    var steps: [String] = []
    var step = ""
    var inBrackets = false
    func finished() -> [String] { step.isEmpty ? steps : steps + [step] }
    for character in path {
      switch character {
      case "[" where !inBrackets:
        steps = finished()
        step = ""
        inBrackets = true
      case "]" where inBrackets:
        steps = finished()
        step = ""
        inBrackets = false
      case "." where !inBrackets:
        steps = finished()
        step = ""
      default: step.append(character)
      }
    }
    return finished()
  }
}
