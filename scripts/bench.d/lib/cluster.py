"""A large cluster as one node sees it: identities of pods elsewhere, and policies that select over them."""
IDENTITIES = "/apis/cilium.io/v2/ciliumidentities"
POLICIES = "/apis/cilium.io/v2/namespaces/default/ciliumnetworkpolicies"
NAMESPACES, SERVICES, FIRST = 50, 1000, 20_000
NAMESPACE = "k8s:io.kubernetes.pod.namespace"


def identity(number, index):
    """The CiliumIdentity of a pod elsewhere: one of a thousand services, in one of fifty namespaces, in a version of three."""
    namespace = f"namespace-{index % NAMESPACES}"
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumIdentity",
            "metadata": {"name": str(number), "labels": {"io.kubernetes.pod.namespace": namespace}},
            "security-labels": {
                NAMESPACE: namespace, "k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name": namespace,
                "k8s:io.cilium.k8s.policy.cluster": "default", "k8s:io.cilium.k8s.policy.serviceaccount": "default",
                "k8s:service": f"service-{index % SERVICES}", "k8s:version": f"v{index % 3}", "k8s:pod": f"pod-{number}"}}


def anywhere(**labels):
    """A selector of pods of all namespaces."""
    return {"matchLabels": labels, "matchExpressions": [{"key": NAMESPACE, "operator": "Exists"}]}


def policy(index, subjects):
    """Of one of the node's pods: one service may reach a port, a version of a namespace another; egress by block."""
    ports = lambda number: [{"ports": [{"port": str(number), "protocol": "TCP"}]}]
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
            "metadata": {"name": f"policy-{index}", "namespace": "default"},
            "spec": {
                "endpointSelector": {"matchLabels": {"app": f"app-{index % subjects}"}},
                "ingress": [
                    {"fromEndpoints": [anywhere(service=f"service-{index % SERVICES}")], "toPorts": ports(10000 + index)},
                    {"fromEndpoints": [{"matchLabels": {NAMESPACE: f"namespace-{index % NAMESPACES}", "version": "v1"}}],
                     "toPorts": ports(20000 + index)}],
                "egress": [{"toCIDRSet": [{"cidr": "10.0.0.0/8", "except": [f"10.{index % 200}.0.0/16"]}]},
                           {"toEndpoints": [{"matchLabels": {"app": "app-0"}}]}]}}


def of_one(index):
    """Of the pod app-0, and small enough that a thousand of them fit in its map: one service may reach one port."""
    document = policy(index, 1)
    document["spec"]["ingress"] = document["spec"]["ingress"][:1]
    del document["spec"]["egress"]
    return document


def fill(node, api, identities, policies=()):
    """Writes the identities with these indices, and the policies given, and waits until all of it is in force."""
    for index in identities:
        api.ask("POST", IDENTITIES, identity(FIRST + index, index))
    for document in policies:
        api.ask("POST", POLICIES, document)
    node.do(node.martlet, "policy", "wait", "--timeout", "300s")


def names(index, subject, subjects, policies):
    """Whether some `policy` of one of the node's pods lets an `identity` with this index in."""
    own = range(subject, policies, subjects)
    return any(index % SERVICES == number % SERVICES for number in own) or index % 3 == 1 and any(
        index % NAMESPACES == number % NAMESPACES for number in own)
