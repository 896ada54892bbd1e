/// Pod and what it is made of. Fields that only a container runtime reads are kept without a look inside.
let podSchemas = #"""
  type Pod # A workload with addresses of its own.
    metadata: ObjectMeta
    spec: PodSpec
    status: PodStatus
  type PodSpec
    containers!: [Container] keys=name minItems=1 # What runs.
    initContainers: [Container] keys=name
    ephemeralContainers: [Container] keys=name
    volumes: [object] keys=name retainKeys
    restartPolicy: string default=Always enum(Always,OnFailure,Never)
    terminationGracePeriodSeconds: int64 default=30 # How long the workload may take to end.
    activeDeadlineSeconds: int64
    dnsPolicy: string default=ClusterFirst enum(ClusterFirst,ClusterFirstWithHostNet,Default,None)
    dnsConfig: object
    nodeSelector: {string} atomic
    serviceAccountName: string # The identity of the workload.
    serviceAccount: string
    automountServiceAccountToken: bool
    nodeName: string # The host that runs it.
    hostNetwork: bool
    hostPID: bool
    hostIPC: bool
    hostUsers: bool
    shareProcessNamespace: bool
    securityContext: object
    imagePullSecrets: [LocalObjectReference] keys=name
    hostname: string
    subdomain: string
    setHostnameAsFQDN: bool
    affinity: object
    schedulerName: string
    tolerations: [object]
    hostAliases: [HostAlias] keys=ip
    priorityClassName: string
    priority: int32
    preemptionPolicy: string
    readinessGates: [object]
    runtimeClassName: string
    enableServiceLinks: bool
    overhead: {quantity}
    topologySpreadConstraints: [object] keys=topologyKey,whenUnsatisfiable
    os: object
    schedulingGates: [LocalObjectReference] keys=name
    resourceClaims: [object] keys=name retainKeys
    resources: ResourceRequirements
  type HostAlias
    ip!: string
    hostnames: [string]
  type Container # A process of a workload.
    name!: string maxLength=63 pattern=@dns1123Label
    image: string
    command: [string] # The program and its first arguments.
    args: [string] # More arguments.
    workingDir: string
    ports: [ContainerPort] keys=containerPort,protocol
    envFrom: [object]
    env: [EnvVar] keys=name
    resources: ResourceRequirements
    resizePolicy: [object]
    restartPolicy: string
    volumeMounts: [VolumeMount] keys=mountPath
    volumeDevices: [object] keys=devicePath
    livenessProbe: Probe
    readinessProbe: Probe
    startupProbe: Probe
    lifecycle: object
    terminationMessagePath: string
    terminationMessagePolicy: string
    imagePullPolicy: string enum(Always,IfNotPresent,Never)
    securityContext: object
    stdin: bool
    stdinOnce: bool
    tty: bool
    targetContainerName: string
  type ContainerPort
    name: string
    hostPort: int32 min=0 max=65535
    containerPort!: int32 min=1 max=65535
    protocol: string default=TCP enum(TCP,UDP,SCTP)
    hostIP: string
  type EnvVar
    name!: string minLength=1
    value: string
    valueFrom: object
  type VolumeMount open
    name!: string
    mountPath!: string
    subPath: string
    readOnly: bool
  type ResourceRequirements
    limits: {quantity}
    requests: {quantity}
    claims: [object] keys=name
  type Probe
    exec: ExecAction
    httpGet: HTTPGetAction
    tcpSocket: TCPSocketAction
    grpc: GRPCAction
    initialDelaySeconds: int32
    timeoutSeconds: int32
    periodSeconds: int32
    successThreshold: int32
    failureThreshold: int32
    terminationGracePeriodSeconds: int64
  type ExecAction
    command: [string]
  type HTTPGetAction
    path: string
    port!: intOrString
    host: string
    scheme: string enum(HTTP,HTTPS)
    httpHeaders: [HTTPHeader]
  type HTTPHeader
    name!: string
    value!: string
  type TCPSocketAction
    port!: intOrString
    host: string
  type GRPCAction
    port!: int32 min=1 max=65535
    service: string
  type PodStatus
    observedGeneration: int64
    phase: string enum(Pending,Running,Succeeded,Failed,Unknown)
    conditions: [Condition] keys=type
    message: string
    reason: string
    nominatedNodeName: string
    hostIP: string
    hostIPs: [HostIP]
    podIP: string
    podIPs: [PodIP] keys=ip
    startTime: time
    initContainerStatuses: [ContainerStatus]
    containerStatuses: [ContainerStatus]
    ephemeralContainerStatuses: [ContainerStatus]
    qosClass: string
    resize: string
    resourceClaimStatuses: [object]
  type HostIP
    ip!: string
  type PodIP
    ip!: string
  type ContainerStatus open
    name!: string
    state: object
    lastState: object
    ready!: bool
    restartCount!: int32
    image!: string
    imageID!: string
    containerID: string
    started: bool
  """#
