import JSON
import KubernetesAPI

extension LintObject {
  /// Everything that decoding refuses, rule by rule; of one rule, and of what is about all of them, the first.
  var decodingErrors: [FieldError] {
    var errors: [FieldError] = []
    func decode(_ value: JSONValue) -> FieldError? {
      var object = self
      object.value = value
      do throws(FieldError) { try object.decode() } catch { return error }
      return nil
    }
    guard let first = decode(value) else { return [] }
    // The others stay as rules that say nothing, so that paths are what they are.
    let bare = EachRule.emptied(value, keeping: nil)
    var readable = bare
    if let error = decode(bare) {
      errors.append(error)
      readable = EachRule.selectingAll(bare)
      // Neither the rules nor the selectors are to blame, so each rule would give this error again.
      if decode(readable) != nil { return errors }
    }
    let isSelector = !errors.isEmpty
    for place in EachRule.places(value) {
      let alone = EachRule.emptied(value, keeping: place)
      if let error = decode(isSelector ? EachRule.selectingAll(alone) : alone), !errors.contains(error) {
        errors.append(error)
      }
    }
    return errors.isEmpty ? [first] : errors
  }
}

/// Policies with one rule at a time.
private enum EachRule {
  struct Place: Hashable {
    /// In `specs`; nil: of `spec`.
    let spec: Int?
    let field: String
    let index: Int
  }

  private static let fields = ["ingress", "ingressDeny", "egress", "egressDeny"]

  private static func specs(_ value: JSONValue) -> [(index: Int?, spec: JSONValue)] {
    (value["spec"].map { [(nil, $0)] } ?? [])
      + (value["specs"]?.arrayValue ?? []).enumerated().map { (Optional($0.offset), $0.element) }
  }

  static func places(_ value: JSONValue) -> [Place] {
    specs(value).flatMap { index, spec in
      fields.flatMap { field in
        (spec[field]?.arrayValue ?? []).indices.map { Place(spec: index, field: field, index: $0) }
      }
    }
  }

  /// Each rule but one replaced by one that says nothing.
  static func emptied(_ value: JSONValue, keeping place: Place?) -> JSONValue {
    change(value) { index, spec in
      var spec = spec
      for field in fields {
        guard let rules = spec[field]?.arrayValue else { continue }
        spec[field] = .array(
          rules.enumerated().map { Place(spec: index, field: field, index: $0.offset) == place ? $0.element : [:] })
      }
      return spec
    }
  }

  /// With selectors of subjects that anybody can read.
  static func selectingAll(_ value: JSONValue) -> JSONValue {
    change(value) { _, spec in
      var spec = spec
      for field in ["endpointSelector", "nodeSelector", "podSelector"] where spec[field] != nil { spec[field] = [:] }
      return spec
    }
  }

  private static func change(_ value: JSONValue, _ change: (Int?, JSONValue) -> JSONValue) -> JSONValue {
    var value = value
    if let spec = value["spec"] { value["spec"] = change(nil, spec) }
    if let specs = value["specs"]?.arrayValue {
      value["specs"] = .array(specs.enumerated().map { change($0.offset, $0.element) })
    }
    return value
  }
}
