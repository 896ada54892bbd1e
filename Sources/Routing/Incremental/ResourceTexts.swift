import JSON

/// The resources of an object, decoded from their text together with where each part of it stands there. What a later text has
/// in common with it is taken over undecoded: resources, virtual hosts, routes, the same octets for the same octets.
///
/// What is taken over keeps the path that it was decoded at, though it may have moved since. An error that is found later
/// (``RouteTable``, ``ClusterNames``) may thus name the path of before; decode without `reusing` for the right one.
public struct ResourceTexts: Sendable {
  public let resources: EnvoyResources
  public let text: [UInt8]
  let parts: [ResourceText]

  /// Decodes the array at `text[range]`; `path` is where it stands, for errors.
  public init(
    _ text: [UInt8], in range: Range<Int>, path: String, reusing previous: ResourceTexts? = nil
  ) throws(FieldError) {
    self.text = text
    do throws(FieldError) {
      (resources, parts) = try ResourceTexts.decode(text, range, path, previous)
    } catch {
      // As a whole, for the error's path and place.
      resources = try EnvoyResources(try JSONCursor(text[range], path: path))
      parts = []
    }
  }

  private static func decode(
    _ text: [UInt8], _ range: Range<Int>, _ path: String, _ previous: ResourceTexts?
  ) throws(FieldError) -> (EnvoyResources, [ResourceText]) {
    var resources = EnvoyResources()
    var parts: [ResourceText] = []
    let elements = try JSONCursor.elements(text, range, path: path)
    let alignment = Alignment(text, elements, with: previous?.text ?? [], previous?.parts.map(\.range) ?? [])
    for (index, element) in elements.enumerated() {
      let place = "\(path)[\(index)]"
      let known = alignment[index].flatMap { previous?.parts[$0] }
      let part: ResourceText
      if let known, alignment.isEqual(index) {
        part = known.moved(by: element.lowerBound - known.range.lowerBound)
      } else {
        part = try ResourceText(text, element, place, reusing: known, in: previous?.text ?? [])
      }
      try resources.add(part.resource, JSONCursor(.null, path: place))
      parts.append(part)
    }
    try resources.checkReferences()
    return (resources, parts)
  }
}

/// One resource, and where its virtual hosts are written.
struct ResourceText: Sendable {
  let range: Range<Int>
  let resource: EnvoyResource
  let lists: [HostListText]

  init(range: Range<Int>, resource: EnvoyResource, lists: [HostListText]) {
    self.range = range
    self.resource = resource
    self.lists = lists
  }

  /// - Parameter known: What stood in its place in `knownText`.
  init(
    _ text: [UInt8], _ range: Range<Int>, _ path: String, reusing known: ResourceText?, in knownText: [UInt8]
  ) throws(FieldError) {
    self.range = range
    let (cursor, parts) = try JSONCursor.leavingOut(["virtual_hosts", "virtualHosts"], text[range], path: path)
    let hosts = HostTexts(text, parts, reusing: known?.lists ?? [], in: knownText)
    resource = try EnvoyResource(cursor, hosts: hosts)
    lists = hosts.lists
  }

  func moved(by distance: Int) -> ResourceText {
    distance == 0
      ? self
      : ResourceText(
        range: range.moved(by: distance), resource: resource, lists: lists.map { $0.moved(by: distance) })
  }
}

extension JSONCursor {
  /// Of a text; its error has the path.
  init(_ text: ArraySlice<UInt8>, path: String) throws(FieldError) {
    do throws(JSONError) {
      self.init(try JSONValue(parsing: text), path: path)
    } catch {
      throw FieldError(path: path, message: "\(error)")
    }
  }

  /// The elements of the array at `text[range]`.
  static func elements(_ text: [UInt8], _ range: Range<Int>, path: String) throws(FieldError) -> [Range<Int>] {
    do throws(JSONError) {
      return try JSONOutline.elements(text, in: range)
    } catch {
      throw FieldError(path: path, message: "\(error)")
    }
  }

  /// Of a text, and where the values of members with one of `keys` are written, whose places integers take.
  static func leavingOut(
    _ keys: [String], _ text: ArraySlice<UInt8>, path: String
  ) throws(FieldError) -> (JSONCursor, [Range<Int>]) {
    do throws(JSONError) {
      let partial = try PartialJSON(parsing: text, leavingOut: keys)
      return (JSONCursor(partial.value, path: path), partial.parts)
    } catch {
      throw FieldError(path: path, message: "\(error)")
    }
  }
}

extension Range<Int> {
  func moved(by distance: Int) -> Range<Int> { lowerBound + distance..<upperBound + distance }
}
