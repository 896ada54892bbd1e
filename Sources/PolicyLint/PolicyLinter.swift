import JSON
import KubernetesAPI
import Policy

/// Reads files of policies as a careful reviewer would. Nothing is sent anywhere: what the running cluster knows is given
/// by the caller, if at all.
public struct PolicyLinter {
  /// What the API demands of an object's form; nil for kinds that it does not serve.
  public typealias SchemaCheck = (JSONValue) -> [FieldError]?

  private let schema: SchemaCheck
  private var objects: [LintObject] = []
  private var findings: [Finding] = []

  public init(schema: @escaping SchemaCheck) { self.schema = schema }

  /// Reads the documents of a file.
  public mutating func read(_ text: String, file: String) {
    do throws(YAMLError) {
      for document in try YAMLDocument.parse(text) {
        for object in LintObject.objects(of: document, file: file) { read(object) }
      }
    } catch {
      let place = Finding.Place(file: file, position: error.position ?? SourcePosition(line: 1, column: 1), path: "")
      findings.append(Finding(.error, .schema, at: place, object: nil, error.message))
    }
  }

  private mutating func read(_ object: LintObject) {
    var object = object
    func error(_ error: FieldError) -> Finding {
      Finding(.error, .schema, at: object.place(error.path), object: object.key, error.message)
    }
    guard object.value.objectValue != nil else {
      findings.append(error(FieldError(path: "", message: "must be an object, is \(object.value.typeName)")))
      return
    }
    let served = schema(object.value)
    if served == nil, let kind = object.value["kind"]?.stringValue,
      let version = object.value["apiVersion"]?.stringValue,
      let problem = KindCheck.problem(kind: kind, apiVersion: version)
    {
      findings.append(error(FieldError(path: "kind", message: problem)))
    }
    let problems = served ?? []
    findings += problems.map { error(PolicyLinter.explained($0, object)) }
    do throws(FieldError) {
      try object.decode()
    } catch {
      for problem in object.decodingErrors {
        // What decoding refuses is often what the schema refused already.
        let isKnown = problems.contains {
          PolicyLinter.isWithin($0.path, problem.path) || PolicyLinter.isWithin(problem.path, $0.path)
        }
        if !isKnown {
          findings.append(
            Finding(
              .error, .schema, at: object.place(problem.path), object: object.key,
              PolicyLinter.explained(problem, object).message))
        }
      }
    }
    objects.append(object)
  }

  /// Whether a path is `outer`, or a field of it.
  private static func isWithin(_ path: String, _ outer: String) -> Bool {
    path == outer || path.hasPrefix(outer) && [".", "["].contains(path.dropFirst(outer.count).first)
  }

  /// What people who leave quotes out need to hear.
  private static func explained(_ error: FieldError, _ object: LintObject) -> FieldError {
    let kind: String? =
      switch object.written(error.path) {
      case .bool: "a boolean"
      case .integer, .number: "a number"
      default: nil
      }
    guard let kind, error.message.contains("string") else { return error }
    return FieldError(path: error.path, message: "\(error.message); YAML reads this as \(kind): write it in quotes")
  }

  /// What was read.
  public var counts: LintCounts {
    var counts = LintCounts()
    for object in objects {
      let kind = object.value["kind"]?.stringValue ?? ""
      if PolicyLinter.policyKinds.contains(kind) {
        counts.policies += 1
      } else if ReferredObjects.kinds.contains(kind) {
        counts.referred += 1
      } else {
        counts.skipped[kind, default: 0] += 1
      }
    }
    return counts
  }

  static let policyKinds: Set = [
    CiliumNetworkPolicy.resource.kind, CiliumClusterwideNetworkPolicy.resource.kind, NetworkPolicy.resource.kind,
  ]

  /// Everything that was found, in the order of the files.
  ///
  /// - Parameters:
  ///   - live: the pods of a running node.
  ///   - referred: the Services, their EndpointSlices and Endpoints, and the CiliumCIDRGroups of the cluster; nil when it
  ///     was not asked. Those of the files come in their place.
  public func report(live: LiveCluster? = nil, referred: [JSONValue]? = nil) -> [Finding] {
    var known = ReferredObjects()
    for object in referred ?? [] { known.add(object) }
    for object in objects { known.add(object.value) }
    let objects = objects.map { object in
      guard let references = object.document?.references, !references.isEmpty else { return object }
      var lowered = object
      do throws(FieldError) { try lowered.decode(in: known.context) } catch { return object }
      return lowered
    }
    var report = Report(objects: objects, asksCluster: referred != nil)
    report.checkNames()
    for index in objects.indices {
      report.checkEnforcement(index)
      report.checkSelectors(index)
      report.checkBlocks(index)
      report.checkPorts(index)
      report.checkHTTP(index)
    }
    report.checkOverlaps()
    report.checkDNS()
    if let live { report.check(against: live) }
    let order = Dictionary(objects.map(\.file).enumerated().map { ($1, $0) }) { first, _ in first }
    let all = findings + report.findings
    return all.enumerated().sorted { left, right in
      let (a, b) = (left.element.place, right.element.place)
      return (order[a.file] ?? -1, a.position.line, a.position.column, left.offset)
        < (order[b.file] ?? -1, b.position.line, b.position.column, right.offset)
    }.map(\.element)
  }
}

/// The findings in the making.
struct Report {
  let objects: [LintObject]
  /// What policies refer to was looked for in the cluster too.
  let asksCluster: Bool
  private(set) var findings: [Finding] = []

  init(objects: [LintObject], asksCluster: Bool) {
    self.objects = objects
    self.asksCluster = asksCluster
  }

  mutating func warn(
    _ check: Finding.Check, _ index: Int, _ path: String, _ message: String, related: [Finding.Place] = [],
    severity: Finding.Severity = .warning
  ) {
    let finding = Finding(
      severity, check, at: objects[index].place(path), object: objects[index].key, message, related: related)
    if !findings.contains(finding) { findings.append(finding) }
  }

  /// How a message in object `from` names a field: with the line, and with file and object where they are others.
  func cite(_ path: String, of index: Int, from: Int) -> String {
    let place = objects[index].place(path)
    if index == from { return "\(path) (line \(place.position.line))" }
    let name = objects[index].key.map { "\($0) " } ?? ""
    let file = place.file == objects[from].file ? "line " : "\(place.file):"
    return "\(name)\(path) (\(file)\(place.position.line))"
  }

  mutating func checkNames() {
    var first: [ObjectKey: Int] = [:]
    for (index, object) in objects.enumerated() {
      guard let key = object.key else { continue }
      var full = key
      if key.namespace == nil, key.kind != CiliumClusterwideNetworkPolicy.resource.kind {
        full = ObjectKey(kind: key.kind, namespace: "default", name: key.name)
      }
      if let other = first[full] {
        warn(
          .nameClash, index, "metadata.name",
          "there is another \(full) at \(cite("metadata.name", of: other, from: index)): the last one applied replaces it",
          related: [objects[other].place("metadata.name")], severity: .error)
      } else {
        first[full] = index
      }
    }
  }

  mutating func checkEnforcement(_ index: Int) {
    for issue in objects[index].document?.issues ?? [] {
      // A pattern that can not be read matches nothing: no API would want to keep it.
      let isPattern = issue.message.contains("regular expression")
      warn(
        isPattern ? .schema : .notEnforced, index, issue.path,
        issue.message + (isPattern ? hint(issue, index) : "")
          + (issue.isMissing && !asksCluster ? " (no cluster was asked, only the files)" : ""),
        severity: isPattern ? .error : .warning)
    }
  }

  /// What people who write shell patterns for regular expressions need to hear.
  private func hint(_ issue: PolicyIssue, _ index: Int) -> String {
    guard let pattern = objects[index].written(issue.path)?.stringValue, pattern.hasPrefix("*") else { return "" }
    return "; a regular expression for anything is `.*`"
  }
}
