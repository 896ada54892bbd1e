/// The kinds of networking.k8s.io.
let networkingSchemas = #"""
  type NetworkPolicy # Which traffic a set of pods may have.
    metadata: ObjectMeta
    spec: NetworkPolicySpec
  type NetworkPolicySpec
    podSelector!: LabelSelector # The pods that the policy is about; empty means all of the namespace.
    ingress: [NetworkPolicyIngressRule] # What may come in.
    egress: [NetworkPolicyEgressRule] # What may go out.
    policyTypes: [string] enum(Ingress,Egress) # The directions that the policy closes.
  type NetworkPolicyIngressRule
    from: [NetworkPolicyPeer] # Sources; empty means all.
    ports: [NetworkPolicyPort] # Ports; empty means all.
  type NetworkPolicyEgressRule
    to: [NetworkPolicyPeer] # Destinations; empty means all.
    ports: [NetworkPolicyPort] # Ports; empty means all.
  type NetworkPolicyPeer
    podSelector: LabelSelector
    namespaceSelector: LabelSelector
    ipBlock: IPBlock
  type IPBlock
    cidr!: string format=cidr
    except: [string] format=cidr
  type NetworkPolicyPort
    protocol: string default=TCP enum(TCP,UDP,SCTP)
    port: intOrString
    endPort: int32 min=1 max=65535

  type Ingress # Routes requests from outside to services.
    metadata: ObjectMeta
    spec: IngressSpec
    status: IngressStatus
  type IngressSpec
    ingressClassName: string
    defaultBackend: IngressBackend
    tls: [IngressTLS]
    rules: [IngressRule]
  type IngressBackend
    service: IngressServiceBackend
    resource: TypedLocalObjectReference
  type IngressServiceBackend
    name!: string
    port: IngressServicePort
  type IngressServicePort
    name: string
    number: int32 min=1 max=65535
  type IngressTLS
    hosts: [string]
    secretName: string
  type IngressRule
    host: string
    http: IngressHTTP
  type IngressHTTP
    paths!: [IngressPath] minItems=1
  type IngressPath
    path: string
    pathType!: string enum(Exact,Prefix,ImplementationSpecific)
    backend!: IngressBackend
  type IngressStatus
    loadBalancer: IngressLoadBalancerStatus
  type IngressLoadBalancerStatus
    ingress: [object]

  type IngressClass # Names who implements an Ingress.
    metadata: ObjectMeta
    spec: IngressClassSpec
  type IngressClassSpec
    controller: string
    parameters: object
  """#
