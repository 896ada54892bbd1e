import KubernetesAPI

extension Report {
  mutating func checkPorts(_ index: Int) {
    for rule in objects[index].rules.flatMap(\.trafficRules) {
      for port in (rule.toPorts ?? []).flatMap(\.ports) where port.port == .number(0) && port.protocol.hasPorts {
        warn(
          .misleading, index, "\(port.path).port",
          "port 0 is every port of \(port.protocol == .any ? "TCP, UDP and SCTP" : port.protocol.rawValue)")
      }
    }
  }
}
