import JSON

/// Makes a world smaller as long as the question is still answered wrongly.
struct Shrinker {
  /// Whether the answers still differ. A world whose policies can not be read is no counterexample.
  let fails: (World) -> Bool

  func shrink(_ world: World, _ question: Question) -> World {
    var smallest = world
    var isSmaller = true
    while isSmaller {
      isSmaller = false
      for candidate in candidates(smallest, question) where fails(candidate) {
        smallest = candidate
        isSmaller = true
        break
      }
    }
    return smallest
  }

  /// Each with one thing less, the largest things first.
  private func candidates(_ world: World, _ question: Question) -> [World] {
    var candidates: [World] = []
    for index in world.policies.indices {
      var smaller = world
      smaller.policies.remove(at: index)
      candidates.append(smaller)
    }
    let asked = [question.from, question.to].compactMap { if case .pod(let pod) = $0 { pod.number } else { nil } }
    for index in world.pods.indices where !asked.contains(world.pods[index].number) {
      var smaller = world
      smaller.pods.remove(at: index)
      candidates.append(smaller)
    }
    for index in world.objects.indices {
      var smaller = world
      smaller.objects.remove(at: index)
      candidates.append(smaller)
    }
    for (index, policy) in world.policies.enumerated() {
      for reduced in Shrinker.reductions(policy) {
        var smaller = world
        smaller.policies[index] = reduced
        candidates.append(smaller)
      }
    }
    return candidates
  }

  /// The value without one of its parts, at any depth.
  private static func reductions(_ value: JSONValue) -> [JSONValue] {
    switch value {
    case .object(let members):
      let keys = members.keys.sorted()
      let without = keys.map { key in
        var rest = members
        rest[key] = nil
        return JSONValue.object(rest)
      }
      return without
        + keys.flatMap { key in
          reductions(members[key] ?? .null).map { reduced in
            var changed = members
            changed[key] = reduced
            return .object(changed)
          }
        }
    case .array(let elements):
      let without = elements.indices.map { index in
        var rest = elements
        rest.remove(at: index)
        return JSONValue.array(rest)
      }
      return without
        + elements.indices.flatMap { index in
          reductions(elements[index]).map { reduced in
            var changed = elements
            changed[index] = reduced
            return .array(changed)
          }
        }
    default: return []
    }
  }
}

extension World {
  /// The policies as files have them, and the pods that there are.
  var text: String {
    let pods = pods.map { pod in
      let labels = pod.labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
      let ports = pod.ports.map { "\($0.name)=\($0.port)/\($0.number)" }.joined(separator: ",")
      return
        "# pod \(pod.namespace)/\(pod.name) \(labels) account=\(pod.account) \(ports)\(pod.isLocal ? "" : " elsewhere")\n"
    }
    let nodes = nodeLabels.sorted { $0.key < $1.key }.map { "# node \($0.key) \($0.value)\n" }
    return pods.joined() + nodes.joined() + (objects + policies).map { "---\n" + YAMLText.of($0) }.joined()
  }
}
