/// The kinds of cilium.io/v2 in which nodes report what they run.
let ciliumNodeSchemas = #"""
  type CiliumIdentity # A number for a set of labels.
    metadata!: ObjectMeta
    security-labels!: {string} # The labels, with their sources.

  type CiliumEndpoint # A workload's place in the network.
    metadata!: ObjectMeta
    status: EndpointStatus
  type EndpointStatus
    controllers: [EndpointController]
    encryption: EncryptionKey
    external-identifiers: ExternalIdentifiers
    health: EndpointHealth
    id: int64 # The number of the endpoint on its node.
    identity: EndpointIdentity
    log: [EndpointLogEntry]
    named-ports: [NamedPort]
    networking: EndpointNetworking
    policy: EndpointPolicy
    service-account: string
    state: string enum(creating,waiting-for-identity,not-ready,waiting-to-regenerate,regenerating,restoring,ready,disconnecting,disconnected,invalid)
  type EndpointController
    name: string
    uuid: string
    configuration: EndpointControllerConfiguration
    status: EndpointControllerStatus
  type EndpointControllerConfiguration
    error-retry: bool
    error-retry-base: int64
    interval: int64
  type EndpointControllerStatus
    consecutive-failure-count: int64
    failure-count: int64
    last-failure-msg: string
    last-failure-timestamp: string
    last-success-timestamp: string
    success-count: int64
  type EncryptionKey
    key: int
  type ExternalIdentifiers
    cni-attachment-id: string
    container-id: string
    container-name: string
    docker-endpoint-id: string
    docker-network-id: string
    k8s-namespace: string
    k8s-pod-name: string
    pod-name: string
  type EndpointHealth
    bpf: string
    connected: bool
    overallHealth: string
    policy: string
  type EndpointIdentity
    id: int64
    labels: [string]
  type EndpointLogEntry
    code: string
    message: string
    state: string
    timestamp: string
  type NamedPort
    name: string
    port: int
    protocol: string
  type EndpointNetworking
    addressing!: [AddressPair]
    node: string
  type AddressPair
    ipv4: string
    ipv6: string
  type EndpointPolicy
    egress: EndpointPolicyDirection
    ingress: EndpointPolicyDirection
  type EndpointPolicyDirection
    adding: [AllowedIdentity]
    allowed: [AllowedIdentity]
    denied: [AllowedIdentity]
    removing: [AllowedIdentity]
    enforcing!: bool
    state: string
  type AllowedIdentity
    dest-port: int
    identity: int64
    identity-labels: {string}
    protocol: int

  type CiliumNode # A node's place in the network.
    metadata!: ObjectMeta
    spec!: CiliumNodeSpec
    status: CiliumNodeStatus
  type CiliumNodeSpec
    addresses: [CiliumNodeAddress]
    bootid: string
    encryption: EncryptionKey
    health: AddressPair
    ingress: AddressPair
    instance-id: string
    ipam: NodeIPAM
    azure: AzureSpec
    eni: ENISpec
    alibaba-cloud: AlibabaSpec
  type CiliumNodeAddress
    ip: string
    type: string
  type NodeIPAM
    podCIDRs: [string] format=cidr # The addresses of the pods on this node.
    pool: {IPAllocation}
    ipv6-pool: {IPAllocation}
    pools: IPAMPools
    min-allocate: int min=0
    max-allocate: int min=0
    pre-allocate: int min=0
    max-above-watermark: int min=0
    static-ip-tags: {string}
  type IPAllocation
    owner: string
    resource: string
  type IPAMPools
    allocated: [AllocatedPool]
    requested: [RequestedPool]
  type AllocatedPool
    pool!: string minLength=1
    cidrs: [string] format=cidr
    allowFirstIP: bool
    allowLastIP: bool
  type RequestedPool
    pool!: string minLength=1
    needed: PoolDemand
  type PoolDemand
    ipv4-addrs: int
    ipv6-addrs: int
  type AzureSpec
    interface-name: string
  type ENISpec
    availability-zone: string
    delete-on-termination: bool
    disable-prefix-delegation: bool
    exclude-interface-tags: {string}
    first-interface-index: int min=0
    instance-type: string
    node-subnet-id: string
    security-group-tags: {string}
    security-groups: [string]
    subnet-ids: [string]
    subnet-tags: {string}
    use-primary-address: bool
    vpc-id: string
  type AlibabaSpec
    availability-zone: string
    cidr-block: string format=cidr
    instance-type: string
    security-group-tags: {string}
    security-groups: [string]
    vpc-id: string
    vswitch-tags: {string}
    vswitches: [string]
  type CiliumNodeStatus
    ipam: NodeIPAMStatus
    azure: object
    eni: object
    alibaba-cloud: object
  type NodeIPAMStatus
    assigned-static-ip: string
    used: {IPAllocation}
    ipv6-used: {IPAllocation}
    operator-status: IPAMOperatorStatus
    pod-cidrs: {PodCIDRStatus}
    release-ips: {string}
    release-ipv6s: {string}
  type IPAMOperatorStatus
    error: string
  type PodCIDRStatus
    status: string enum(released,depleted,in-use)
  """#
