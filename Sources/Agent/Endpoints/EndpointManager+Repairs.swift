import CNI

extension EndpointManager {
  /// How many devices are asked for their programs each time, in turn: a device is asked twice, and the kernel answers in
  /// tens of microseconds.
  private static let programQuestions = 64

  /// Puts the programs back on the devices that have lost them: all that lack the discipline that programs are below, which
  /// one question tells, and those of some of the others that were removed alone. Returns the pods' names, and what went
  /// wrong.
  func repairPrograms() -> (repaired: [String], failure: String?) {
    var repaired: [String] = []
    var failure: String?
    do {
      let candidates = all
      var suspects = try kernel.withoutQdisc(Set(candidates.map(\.interfaceIndex)))
      let count = min(EndpointManager.programQuestions, candidates.count)
      for offset in 0..<count {
        let index = candidates[(lastAsked + offset) % candidates.count].interfaceIndex
        if !suspects.contains(index), try !kernel.isAttached(index: index) { suspects.insert(index) }
      }
      lastAsked = candidates.isEmpty ? 0 : (lastAsked + count) % candidates.count
      for endpoint in candidates where suspects.contains(endpoint.interfaceIndex) {
        let attachment = endpoint.attachment
        // With the device everything of the pod's network is gone: that is the runtime's to mend.
        guard try devices.index(of: attachment) == endpoint.interfaceIndex else { continue }
        do {
          try kernel.attach(interface: attachment.hostInterface, index: endpoint.interfaceIndex)
          repaired.append("\(attachment.label) on \(attachment.hostInterface)")
        } catch {
          failure = "\(attachment.hostInterface): \(error)"
        }
      }
    } catch {
      failure = "\(error)"
    }
    return (repaired, failure)
  }

  /// The devices whose packets no program sees now; all of them where the kernel does not tell.
  func unguarded() -> Set<UInt32> {
    let indexes = Set(endpoints.values.map(\.interfaceIndex))
    return (try? kernel.withoutQdisc(indexes)) ?? indexes
  }
}

extension PodAttachment {
  /// How people know it: the pod, or the container of a runtime that knows no pods.
  var label: String { isOfPod ? "\(podNamespace)/\(podName)" : "container \(key)" }
}
