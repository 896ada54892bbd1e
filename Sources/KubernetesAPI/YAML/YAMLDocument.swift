import JSON
import Yams

/// Why a text is not usable YAML, and where.
public struct YAMLError: Error, Hashable, Sendable, CustomStringConvertible {
  public let message: String
  /// nil where no place is to blame.
  public let position: SourcePosition?

  public var description: String { position.map { "line \($0): \(message)" } ?? message }
}

/// A place in a text; both count from 1.
public struct SourcePosition: Hashable, Sendable, CustomStringConvertible {
  public let line: Int
  public let column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }

  /// `12:5`.
  public var description: String { "\(line):\(column)" }
}

/// One document of a YAML text: its value, and where each field of it was written.
public struct YAMLDocument: Sendable {
  public let value: JSONValue
  public let locations: SourceLocations

  /// All documents of `text` that are not empty. JSON is YAML, so it is read too.
  ///
  ///     for document in try YAMLDocument.parse(text) {
  ///       let policy = try CiliumNetworkPolicy(document.value)
  ///     }
  public static func parse(_ text: String) throws(YAMLError) -> [YAMLDocument] {
    var documents: [YAMLDocument] = []
    do {
      // Editors put it there, and to YAML it means nothing.
      let text = text.unicodeScalars.first == "\u{FEFF}" ? String(text.unicodeScalars.dropFirst()) : text
      var nodes = try Yams.compose_all(yaml: text)
      while let node = nodes.next() {
        var reader = YAMLReader()
        let value = try reader.value(node)
        if !value.isNull { documents.append(YAMLDocument(value: value, locations: SourceLocations(root: node))) }
      }
      // The sequence ends at the first error without throwing it.
      if let error = nodes.error { throw error }
    } catch let error as YAMLError {
      throw error
    } catch let error as YamlError {
      throw YAMLError(error)
    } catch {
      throw YAMLError(message: "\(error)", position: nil)
    }
    return documents
  }
}

extension YAMLError {
  init(_ error: YamlError) {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      self.init(message: problem, position: SourcePosition(line: mark.line, column: mark.column))
    case .duplicatedKeysInMapping(let duplicates, let context):
      let keys = duplicates.map { "\"\($0)\"" }.joined(separator: ", ")
      self.init(
        message: "duplicate key \(keys)",
        position: SourcePosition(line: context.mark.line, column: context.mark.column))
    default: self.init(message: "\(error)", position: nil)
    }
  }
}
