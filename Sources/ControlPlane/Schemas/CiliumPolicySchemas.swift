/// The policy kinds of cilium.io/v2. Field names, types and limits are those that users' policies are written for.
let ciliumPolicySchemas = #"""
  pattern dnsName = ^[-a-zA-Z0-9_]+([.][-a-zA-Z0-9_]+)*[.]?$
  pattern dnsPattern = ^[-a-zA-Z0-9_*]+([.][-a-zA-Z0-9_*]+)*[.]?$
  pattern port = ^([0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]|([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*)$
  pattern labelValue = ^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$
  pattern printable = ^\PC*$

  type CiliumNetworkPolicy anyOf(spec,specs) # Which traffic the selected endpoints of a namespace may have.
    metadata!: ObjectMeta
    spec: PolicyRule # One rule.
    specs: [PolicyRule] # Several rules.
    status: PolicyStatus
  type CiliumClusterwideNetworkPolicy anyOf(spec,specs) # Which traffic the selected endpoints or nodes may have.
    metadata!: ObjectMeta
    spec: PolicyRule # One rule.
    specs: [PolicyRule] # Several rules.
    status: PolicyStatus
  type PolicyStatus
    conditions: [Condition] keys=type # Whether the policy is valid and enforced.
    derivativePolicies: {DerivativePolicy}
  type DerivativePolicy
    annotations: {string}
    enforcing: bool
    error: string
    lastUpdated: time
    localPolicyRevision: int64
    ok: bool

  type PolicyRule exactlyOne(endpointSelector,nodeSelector) anyOf(ingress,ingressDeny,egress,egressDeny)
    endpointSelector: PolicySelector # The endpoints that the rule is about; empty means all.
    nodeSelector: PolicySelector # The nodes that the rule is about; for clusterwide policies.
    description: string # For people.
    labels: [PolicyLabel] # Tell this rule from others.
    log: PolicyLog # What flows that this rule decides carry.
    enableDefaultDeny: DefaultDeny # Whether what no rule allows is denied.
    ingress: [IngressAllow] # What may come in.
    ingressDeny: [IngressDeny] # What may not come in, whatever else allows it.
    egress: [EgressAllow] # What may go out.
    egressDeny: [EgressDeny] # What may not go out, whatever else allows it.
  type PolicyLabel
    key!: string
    source: string
    value: string
  type PolicyLog
    value: string maxLength=32 pattern=@printable
  type DefaultDeny
    ingress: bool
    egress: bool
  type PolicySelector atomic # Selects by labels; all requirements must hold.
    matchLabels: {string} maxLength=63 pattern=@labelValue
    matchExpressions: [PolicySelectorRequirement]
  type PolicySelectorRequirement
    key!: string
    operator!: string enum(In,NotIn,Exists,DoesNotExist)
    values: [string]

  type IngressAllow
    fromEndpoints: [PolicySelector] # Endpoints that may send.
    fromEntities: [string] enum(all,world,world-ipv4,world-ipv6,cluster,cluster-mesh,host,init,ingress,unmanaged,remote-node,health,none,kube-apiserver)
    fromCIDR: [string] format=cidr # Addresses that may send.
    fromCIDRSet: [CIDRRule]
    fromGroups: [PeerGroup]
    fromNodes: [PolicySelector]
    fromRequires: [any] maxItems=0
    toPorts: [PortRule] # Ports of the selected endpoints, and what may be said there.
    icmps: [ICMPRule]
    authentication: Authentication
  type IngressDeny
    fromEndpoints: [PolicySelector]
    fromEntities: [string] enum(all,world,world-ipv4,world-ipv6,cluster,cluster-mesh,host,init,ingress,unmanaged,remote-node,health,none,kube-apiserver)
    fromCIDR: [string] format=cidr
    fromCIDRSet: [CIDRRule]
    fromGroups: [PeerGroup]
    fromNodes: [PolicySelector]
    fromRequires: [any] maxItems=0
    toPorts: [PortDenyRule]
    icmps: [ICMPRule]
  type EgressAllow
    toEndpoints: [PolicySelector] # Endpoints that may be reached.
    toEntities: [string] enum(all,world,world-ipv4,world-ipv6,cluster,cluster-mesh,host,init,ingress,unmanaged,remote-node,health,none,kube-apiserver)
    toCIDR: [string] format=cidr
    toCIDRSet: [CIDRRule]
    toFQDNs: [FQDNSelector] # Names whose addresses may be reached.
    toServices: [ServicePeer]
    toGroups: [PeerGroup]
    toNodes: [PolicySelector]
    toRequires: [any] maxItems=0
    toPorts: [PortRule]
    icmps: [ICMPRule]
    authentication: Authentication
  type EgressDeny
    toEndpoints: [PolicySelector]
    toEntities: [string] enum(all,world,world-ipv4,world-ipv6,cluster,cluster-mesh,host,init,ingress,unmanaged,remote-node,health,none,kube-apiserver)
    toCIDR: [string] format=cidr
    toCIDRSet: [CIDRRule]
    toServices: [ServicePeer]
    toGroups: [PeerGroup]
    toNodes: [PolicySelector]
    toRequires: [any] maxItems=0
    toPorts: [PortDenyRule]
    icmps: [ICMPRule]
  type Authentication
    mode!: string enum(disabled,required,test-always-fail)
  type CIDRRule exactlyOne(cidr,cidrGroupRef,cidrGroupSelector)
    cidr: string format=cidr
    cidrGroupRef: string maxLength=253 pattern=@dns1123Subdomain
    cidrGroupSelector: PolicySelector
    except: [string] format=cidr # Parts of the range that are left out.
  type FQDNSelector exactlyOne(matchName,matchPattern)
    matchName: string maxLength=255 pattern=@dnsName
    matchPattern: string maxLength=255 pattern=@dnsPattern
  type PeerGroup
    aws: AWSGroup
  type AWSGroup
    labels: {string}
    managedPrefixList: ManagedPrefixList
    region: string
    securityGroupsIds: [string]
    securityGroupsNames: [string]
  type ManagedPrefixList
    ids: [string]
    names: [string]
    ownerIDs: [string]
  type ServicePeer
    k8sService: ServiceName
    k8sServiceSelector: ServiceSelector
  type ServiceName
    namespace: string
    serviceName: string
  type ServiceSelector
    namespace: string
    selector!: PolicySelector
  type ICMPRule
    fields: [ICMPField] maxItems=40
  type ICMPField
    family: string default=IPv4 enum(IPv4,IPv6)
    type!: intOrString format=icmp-type # By number or by name.

  type PortRule
    ports: [PortProtocol] maxItems=40
    rules: L7Rules # What may be said there.
    listener: ListenerReference
    originatingTLS: TLSContext
    terminatingTLS: TLSContext
    serverNames: [string] set minItems=1 maxLength=255 pattern=@dnsPattern
  type PortDenyRule
    ports: [PortProtocol]
  type PortProtocol
    port: string pattern=@port # A number from 0 to 65535, or the name of a port.
    endPort: int32 min=0 max=65535 # The last port of a range.
    protocol: string enum(TCP,UDP,SCTP,VRRP,IGMP,GRE,IPIP,IPV6,ESP,AH,ANY)
  type L7Rules exactlyOne(http,dns)
    http: [HTTPRule] # Requests that are allowed.
    dns: [FQDNSelector] # Names that may be asked for.
  type HTTPRule
    method: string # A regular expression for the whole method.
    path: string # A regular expression for the whole path, query included.
    host: string format=idn-hostname # A regular expression for the whole host.
    headers: [string] # Headers that must be there, with or without a value.
    headerMatches: [HeaderMatch]
  type HeaderMatch
    name!: string minLength=1
    value: string
    mismatch: string enum(LOG,ADD,DELETE,REPLACE) # What happens to a request without the header.
    secret: SecretReference
  type SecretReference
    name!: string
    namespace: string
  type TLSContext
    secret!: SecretReference
    certificate: string
    privateKey: string
    trustedCA: string
  type ListenerReference
    envoyConfig!: EnvoyConfigReference
    name!: string minLength=1
    priority: int min=1 max=100
  type EnvoyConfigReference
    kind: string enum(CiliumEnvoyConfig,CiliumClusterwideEnvoyConfig)
    name!: string minLength=1

  type CiliumCIDRGroup # A set of address ranges that policies refer to.
    metadata: ObjectMeta
    spec!: CIDRGroupSpec
  type CIDRGroupSpec
    externalCIDRs!: [string] format=cidr
  type CiliumEnvoyConfig # Configuration of the proxy for services of a namespace.
    metadata!: ObjectMeta
    spec: EnvoyConfigSpec
    status: PolicyStatus
  type CiliumClusterwideEnvoyConfig # Configuration of the proxy for services of all namespaces.
    metadata!: ObjectMeta
    spec: EnvoyConfigSpec
    status: PolicyStatus
  type EnvoyConfigSpec
    services: [ServiceListener] # Services whose traffic the proxy takes.
    backendServices: [BackendService] # Services whose endpoints the proxy knows.
    nodeSelector: PolicySelector # The nodes that use this configuration.
    resources!: [object] # Listeners, routes, clusters, endpoints and secrets of Envoy's v3 API.
  type ServiceListener
    name!: string
    namespace: string
    listener: string
    ports: [int]
  type BackendService
    name!: string
    namespace: string
    number: [string]
  """#
