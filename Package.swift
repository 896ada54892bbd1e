// swift-tools-version: 6.3
import PackageDescription

// One product, `martlet`. Targets are grouped by floor: a target imports only from its own floor and those below.
// ARCHITECTURE.md says what each one knows.

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func target(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .testTarget(name: name, dependencies: dependencies, resources: resources, swiftSettings: strict)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")

let package = Package(
  name: "martlet",
  products: [.executable(name: "martlet", targets: ["martlet"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.30.0"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
  ],
  targets: [
    // Floor 0: C only.
    .systemLibrary(name: "CLibBPF", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
    .target(name: "CMartletABI"),
    .target(name: "CMartletBPF", cSettings: [.headerSearchPath("objects")]),
    .target(name: "CLinux", dependencies: ["CLibBPF"]),

    // Floor 1: the kernel's interfaces, and pure values.
    target("Addressing"),
    target("JSON"),
    target("Labels"),
    target("Threads", ["CLinux"]),
    target("Clocks"),
    target("Files"),
    target("Automata"),
    target("Balancing", ["Addressing"]),
    target("HTTP2"),
    target("BPF", ["CLibBPF", "CLinux", "Threads"]),
    target("NodeMetrics", ["Addressing", "Threads"]),
    target("KernelABI", ["CMartletABI", "Addressing"]),
    target("Netlink", ["CLinux", "Addressing", "Threads"]),

    // Floor 2: the Kubernetes API, from both ends.
    target(
      "KubernetesAPI",
      [
        "JSON", "Labels", "Addressing", "Files", logging, yams,
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    target(
      "ControlPlane",
      [
        "JSON", "Labels", "Addressing", "Clocks", "Files", logging, yams,
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdTLS", package: "hummingbird"),
        .product(name: "X509", package: "swift-certificates"),
        .product(name: "Crypto", package: "swift-crypto"),
      ]),

    // Floor 3: what the mesh means; pure.
    target("ProxyRules", ["Addressing", "Automata", "JSON"]),
    target("Identity", ["Addressing", "Labels"]),
    target("Policy", ["Addressing", "Labels", "Identity", "ProxyRules", "JSON", "KubernetesAPI"]),
    target("Services", ["Addressing", "Balancing", "JSON", "KubernetesAPI"]),
    target("Routing", ["Addressing", "Automata", "Balancing", "JSON", "ProxyRules"]),

    // Floor 4: one each of kernel, user space, events, node API, workloads; and the policies' reviewer.
    target(
      "PolicyLint",
      ["Addressing", "Automata", "Identity", "JSON", "KubernetesAPI", "Labels", "Policy", "ProxyRules"]),
    target(
      "Datapath",
      [
        "CLibBPF", "CMartletABI", "CMartletBPF", "CLinux", "BPF", "KernelABI", "Netlink", "Addressing", "Files",
        "Identity", "Policy", "Services", "Threads", logging,
      ]),
    target(
      "Proxy",
      [
        "CLinux", "CMartletABI", "BPF", "KernelABI", "Addressing", "Balancing", "Clocks", "Files", "HTTP2",
        "NodeMetrics", "ProxyRules", "JSON", "Routing", "Threads", logging,
      ]),
    target("Flows", ["CMartletABI", "KernelABI", "Addressing", "Clocks", "JSON"]),
    target("NodeAPI", ["JSON", "CLinux", "Threads"]),
    target("CNI", ["JSON", "Addressing", "CLinux", "Files", "Netlink", "NodeAPI"]),
    target("Bookinfo", ["JSON", "Threads"]),
    target(
      "Workloads",
      [
        "CNI", "CLinux", "Clocks", "Files", "Netlink", "Addressing", "JSON", "KubernetesAPI", "NodeAPI", "Threads",
        logging,
      ]),
    target("LoadGenerator", ["CLinux", "Addressing", "JSON", "Netlink", "Threads"]),

    // Floor 5: composition.
    target(
      "Agent",
      [
        "Balancing", "Datapath", "Policy", "Services", "Routing", "Identity", "Flows", "Proxy", "CMartletABI",
        "KernelABI",
        "NodeAPI",
        "KubernetesAPI", "ProxyRules", "CNI", "Netlink", "BPF", "NodeMetrics", "Addressing", "CLinux", "Clocks",
        "Files",
        "Labels", "JSON", "Threads", logging,
      ]),
    target("Operator", ["KubernetesAPI", "Addressing", "Labels", "Clocks", "JSON", logging]),
    target(
      "Host",
      [
        "Operator", "ControlPlane", "KubernetesAPI", "KernelABI", "Workloads", "Datapath", "Services", "CNI", "NodeAPI",
        "NodeMetrics", "Netlink", "Identity",
        "Addressing", "JSON", "CLinux", "BPF", "Files", "Threads", logging,
      ]),

    // Floor 6: the command line.
    .executableTarget(
      name: "martlet",
      dependencies: [
        "Agent", "Host", "Proxy", "Datapath", "NodeAPI", "KubernetesAPI", "Workloads", "Flows", "CNI", "Bookinfo",
        "BPF", "KernelABI", "NodeMetrics", "LoadGenerator", "Identity", "Policy", "PolicyLint", "ProxyRules", "Routing",
        "Services", "ControlPlane", "Addressing", "JSON", "Clocks", "Files", "Threads", "CMartletABI", logging,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    .target(name: "TestSupport", path: "Tests/TestSupport", swiftSettings: strict),
    tests("AddressingTests", ["Addressing"]),
    tests(
      "AgentTests",
      [
        "TestSupport", "Agent", "Datapath", "Files", "Flows", "Policy", "Proxy", "Services", "Identity", "NodeAPI",
        "KubernetesAPI", "CNI", "Addressing", "JSON", "Threads", logging,
      ]),
    tests("NodeMetricsTests", ["NodeMetrics", "Addressing", "Threads"]),
    tests("BPFTests", ["TestSupport", "BPF", "CLibBPF", "CLinux", "Netlink"]),
    tests(
      "DatapathTests",
      [
        "TestSupport", "Datapath", "BPF", "CMartletABI", "KernelABI", "Identity", "Netlink", "Policy", "Services",
        "Addressing",
        "KubernetesAPI", "JSON", logging,
      ]),
    tests("KernelTests", ["BPF", "CLinux", "CMartletABI", "CMartletBPF", "Netlink", "Addressing"]),
    tests("JSONTests", ["JSON"]),
    tests(
      "ProxyTests",
      [
        "TestSupport", "Proxy", "BPF", "CMartletABI", "KernelABI", "ProxyRules", "Addressing", "Balancing", "Files",
        "JSON", "NodeMetrics", "Routing", "Threads", logging,
      ],
      resources: [.copy("Corpus")]),
    tests("LabelsTests", ["Labels"]),
    tests("ThreadsTests", ["Threads"]),
    tests("ClocksTests", ["Clocks"]),
    tests("EndToEndTests", ["TestSupport", "JSON"]),
    tests("FlowsTests", ["Flows", "CMartletABI", "KernelABI", "Addressing", "JSON"]),
    tests(
      "OperatorTests",
      ["TestSupport", "Operator", "ControlPlane", "KubernetesAPI", "JSON", "Addressing", logging]),
    tests("KubernetesAPITests", ["KubernetesAPI", "JSON", "Labels", "Addressing"]),
    tests("NodeAPITests", ["TestSupport", "NodeAPI", "JSON", "Threads"]),
    tests("CNITests", ["TestSupport", "CNI", "JSON", "Addressing", "Files", "Netlink", "NodeAPI"]),
    tests("LoadGeneratorTests", ["LoadGenerator", "Addressing", "JSON", "Threads"]),
    tests("BookinfoTests", ["Bookinfo", "JSON"]),
    tests("WorkloadsTests", ["TestSupport", "Workloads", "CNI", "JSON", "Addressing", "Files", logging]),
    tests(
      "HostTests",
      ["TestSupport", "Host", "Addressing", "BPF", "CLinux", "Datapath", "Files", "JSON", "NodeAPI", logging]),
    tests("NetlinkTests", ["Netlink", "CLinux", "Addressing"]),
    tests("ControlPlaneTests", ["TestSupport", "ControlPlane", "Addressing", "Clocks", "JSON", "Labels", logging]),
    tests("AutomataTests", ["Automata"]),
    tests("BalancingTests", ["Balancing", "Addressing"]),
    tests("HTTP2Tests", ["HTTP2", "TestSupport"]),
    tests("ProxyRulesTests", ["TestSupport", "Addressing", "ProxyRules", "Automata", "JSON"]),
    tests("PolicyLintTests", ["PolicyLint", "KubernetesAPI", "JSON", "Identity", "Policy", "Addressing"]),
    tests(
      "PolicyOracleTests",
      [
        "TestSupport",
        "Policy", "Datapath", "BPF", "CMartletABI", "CMartletBPF", "KernelABI", "KubernetesAPI", "Identity",
        "Addressing",
        "JSON", "ProxyRules",
      ]),
    tests(
      "RoutingTests",
      ["TestSupport", "Routing", "Addressing", "Automata", "Balancing", "JSON", "ProxyRules", "Threads"]),
    tests("ServicesTests", ["Services", "KubernetesAPI", "Addressing", "JSON"]),
    tests("IdentityTests", ["Identity", "Addressing", "Labels"]),
    tests(
      "PolicyTests",
      ["TestSupport", "Policy", "Identity", "Addressing", "Labels", "ProxyRules", "JSON", "KubernetesAPI"]),
  ],
  swiftLanguageModes: [.v6]
)
