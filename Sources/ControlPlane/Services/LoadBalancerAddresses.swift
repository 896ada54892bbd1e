import Addressing
import Clocks
import JSON

/// Gives Services of the type LoadBalancer addresses from this cluster's ranges. A Service that names another class is
/// somebody else's, and all are when there are no ranges.
struct LoadBalancerAddresses {
  /// The class that means this one; the same as naming none.
  static let className = "martlet.io/host"
  /// Addresses that a Service asks for, separated by commas: the annotations of Cilium's address management, and the field
  /// `spec.loadBalancerIP`.
  static let annotations = ["lbipam.cilium.io/ips", "io.cilium/lb-ipam-ips"]
  /// The condition that says why a Service waits, as Cilium names it.
  static let condition = "cilium.io/IPAMRequestSatisfied"

  let ranges: [CIDR]

  /// Writes `status.loadBalancer.ingress`, and the condition when something is missing.
  func assign(_ service: inout ServiceDocument, isFree: (IPAddress) -> Bool) {
    let name = service.text("loadBalancerClass")
    guard !ranges.isEmpty, name.isEmpty || name == LoadBalancerAddresses.className else { return }
    let wanted = requested(service)
    var problem: String?
    var given: [IPAddress] = []
    if wanted.isEmpty {
      let before = service.loadBalancerIPs.compactMap { IPAddress($0) }
      for family in service.ipFamilies where ranges.contains(where: { ServiceNetwork.family($0) == family }) {
        let kept = before.first { address in
          ServiceNetwork.family(address) == family && isInRange(address) && isFree(address)
        }
        if let address = kept ?? free(family, isFree) {
          given.append(address)
        } else {
          problem = "no \(family) address is left in \(list)"
        }
      }
      if given.isEmpty, problem == nil {
        problem = "\(list) has no address of \(service.ipFamilies.joined(separator: " and "))"
      }
    }
    for text in wanted {
      guard let address = IPAddress(text) else {
        problem = "\"\(text)\" is not an IP address"
        continue
      }
      if !isInRange(address) {
        problem = "\(address) is not in \(list)"
      } else if !isFree(address) {
        problem = "\(address) is already allocated"
      } else if !given.contains(address) {
        given.append(address)
      }
    }
    write(given, problem, to: &service)
  }

  private var list: String { ranges.map(\.description).joined(separator: ", ") }

  private func isInRange(_ address: IPAddress) -> Bool { ranges.contains { $0.contains(address) } }

  private func requested(_ service: ServiceDocument) -> [String] {
    let metadata = service.value["metadata"]?["annotations"]
    let text =
      LoadBalancerAddresses.annotations.compactMap { metadata?[$0]?.stringValue }.first { !$0.isEmpty }
      ?? service.text("loadBalancerIP")
    return text.split(separator: ",").map { $0.filter { !$0.isWhitespace } }.filter { !$0.isEmpty }
  }

  /// The lowest free one.
  private func free(_ family: String, _ isFree: (IPAddress) -> Bool) -> IPAddress? {
    for range in ranges where ServiceNetwork.family(range) == family {
      for offset in 0..<min(ServiceNetwork.size(range), 1 << 20) {
        let address = range.address.advanced(by: offset)
        if isFree(address) { return address }
      }
    }
    return nil
  }

  private func write(_ given: [IPAddress], _ problem: String?, to service: inout ServiceDocument) {
    var status = service.value["status"] ?? [:]
    let entries = (status["loadBalancer"]?["ingress"]?.arrayValue ?? [])
    let ingress = given.map { address -> JSONValue in
      entries.first { $0["ip"]?.stringValue == address.description }
        ?? ["ip": .string(address.description), "ipMode": "VIP"]
    }
    status["loadBalancer"] = ingress.isEmpty ? [:] : ["ingress": .array(ingress)]
    let before = status["conditions"]?.arrayValue?.first { $0["type"]?.stringValue == LoadBalancerAddresses.condition }
    status = LoadBalancerAddresses.withoutCondition(status)
    if let problem {
      let isSame = before?["message"]?.stringValue == problem
      let condition: JSONValue = [
        "type": .string(LoadBalancerAddresses.condition), "status": "False", "reason": "not_satisfied",
        "message": .string(problem),
        "lastTransitionTime": isSame ? before?["lastTransitionTime"] ?? .null : .string(Timestamp.nowText),
      ]
      status["conditions"] = .array((status["conditions"]?.arrayValue ?? []) + [condition])
    }
    service.value["status"] = status
  }

  static func withoutCondition(_ status: JSONValue) -> JSONValue {
    guard let conditions = status["conditions"]?.arrayValue else { return status }
    var status = status
    status["conditions"] = conditions.filter { $0["type"]?.stringValue != condition }.nonEmpty.map(JSONValue.array)
    return status
  }
}
