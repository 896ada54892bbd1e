/// The kinds of the core group except Pod.
let coreSchemas = #"""
  type Namespace # A space for names.
    metadata: ObjectMeta
    spec: NamespaceSpec
    status: NamespaceStatus
  type NamespaceSpec
    finalizers: [string] # Must be empty before the namespace is removed.
  type NamespaceStatus
    phase: string # Active or Terminating.
    conditions: [Condition] keys=type

  type ConfigMap # Configuration data for workloads.
    metadata: ObjectMeta
    data: {string} # Values by key.
    binaryData: {bytes} # Values that are not UTF-8, in base64.
    immutable: bool # The data can not change any more.

  type Secret # Secret data for workloads.
    metadata: ObjectMeta
    data: {bytes} # Values by key, in base64.
    stringData: {string} # Values in plain text; the server moves them into data.
    type: string default=Opaque # What the data is for.
    immutable: bool # The data can not change any more.

  type ServiceAccount # An identity for workloads.
    metadata: ObjectMeta
    secrets: [ObjectReference] keys=name
    imagePullSecrets: [LocalObjectReference] keys=name
    automountServiceAccountToken: bool

  type Event # Something that happened to an object.
    metadata!: ObjectMeta
    involvedObject!: ObjectReference # What it happened to.
    reason: string # A word for the cause.
    message: string # A sentence for people.
    source: EventSource # Who reports it.
    firstTimestamp: time # The first time.
    lastTimestamp: time # The last time.
    count: int32 # How often.
    type: string # Normal or Warning.
    eventTime: time
    series: object
    action: string
    related: ObjectReference
    reportingComponent: string default=""
    reportingInstance: string default=""
  type EventSource
    component: string
    host: string

  type Node # A host that runs workloads.
    metadata: ObjectMeta
    spec: NodeSpec
    status: NodeStatus
  type NodeSpec
    podCIDR: string format=cidr # The addresses of the pods on this node.
    podCIDRs: [string] set format=cidr # The same, one of each family.
    providerID: string
    unschedulable: bool
    taints: [Taint]
    configSource: object
    externalID: string
  type Taint
    key!: string
    value: string
    effect!: string enum(NoSchedule,PreferNoSchedule,NoExecute)
    timeAdded: time
  type NodeStatus
    capacity: {quantity}
    allocatable: {quantity}
    phase: string
    conditions: [Condition] keys=type
    addresses: [NodeAddress] keys=type,address
    daemonEndpoints: object
    nodeInfo: NodeSystemInfo
    images: [object]
    volumesInUse: [string]
    volumesAttached: [object]
    config: object
    runtimeHandlers: [object]
    features: object
  type NodeAddress
    type!: string
    address!: string
  type NodeSystemInfo open
    machineID: string
    systemUUID: string
    bootID: string
    kernelVersion: string
    osImage: string
    containerRuntimeVersion: string
    kubeletVersion: string
    kubeProxyVersion: string
    operatingSystem: string
    architecture: string

  type Service # A name and an address for a set of pods.
    metadata: ObjectMeta
    spec: ServiceSpec
    status: ServiceStatus
  type ServiceSpec
    ports: [ServicePort] keys=port,protocol # What the service listens to.
    selector: {string} atomic # The labels of the pods that serve.
    clusterIP: string # The address within the cluster, or None.
    clusterIPs: [string] # The same, one of each family.
    type: string enum(ClusterIP,NodePort,LoadBalancer,ExternalName)
    externalIPs: [string]
    sessionAffinity: string enum(ClientIP,None)
    sessionAffinityConfig: SessionAffinityConfig
    loadBalancerIP: string
    loadBalancerSourceRanges: [string]
    loadBalancerClass: string
    externalName: string
    externalTrafficPolicy: string enum(Cluster,Local)
    internalTrafficPolicy: string enum(Cluster,Local)
    healthCheckNodePort: int32
    publishNotReadyAddresses: bool
    ipFamilies: [string] enum(IPv4,IPv6)
    ipFamilyPolicy: string enum(SingleStack,PreferDualStack,RequireDualStack)
    allocateLoadBalancerNodePorts: bool
    trafficDistribution: string
  type ServicePort
    name: string # Needed when there are several ports.
    protocol: string default=TCP enum(TCP,UDP,SCTP)
    appProtocol: string
    port!: int32 # The port of the service.
    targetPort: intOrString # The port of the pods, by number or by name.
    nodePort: int32 # The port on the nodes' own addresses.
  type SessionAffinityConfig
    clientIP: ClientIPConfig
  type ClientIPConfig
    timeoutSeconds: int32
  type ServiceStatus
    loadBalancer: LoadBalancerStatus
    conditions: [Condition] keys=type
  type LoadBalancerStatus
    ingress: [LoadBalancerIngress]
  type LoadBalancerIngress
    ip: string
    hostname: string
    ipMode: string
    ports: [object]

  type Endpoints # The addresses that serve a service, in the old form.
    metadata: ObjectMeta
    subsets: [EndpointSubset]
  type EndpointSubset
    addresses: [EndpointAddress]
    notReadyAddresses: [EndpointAddress]
    ports: [EndpointPort]
  type EndpointAddress
    ip!: string format=ip
    hostname: string
    nodeName: string
    targetRef: ObjectReference
  type EndpointPort
    name: string
    port!: int32 min=1 max=65535
    protocol: string default=TCP enum(TCP,UDP,SCTP)
    appProtocol: string

  type EndpointSlice # Some of the addresses that serve a service.
    metadata: ObjectMeta
    addressType!: string enum(IPv4,IPv6,FQDN)
    endpoints!: [SliceEndpoint]
    ports: [SlicePort]
  type SliceEndpoint
    addresses!: [string] minItems=1 maxItems=100
    conditions: SliceConditions
    hostname: string
    targetRef: ObjectReference
    deprecatedTopology: {string}
    nodeName: string
    zone: string
    hints: object
  type SliceConditions
    ready: bool
    serving: bool
    terminating: bool
  type SlicePort
    name: string default=""
    protocol: string default=TCP enum(TCP,UDP,SCTP)
    port: int32 min=0 max=65535
    appProtocol: string

  type Lease # Who leads, and until when.
    metadata: ObjectMeta
    spec: LeaseSpec
  type LeaseSpec
    holderIdentity: string
    leaseDurationSeconds: int32 min=1
    acquireTime: time
    renewTime: time
    leaseTransitions: int32 min=0
    strategy: string
    preferredHolder: string
  """#
