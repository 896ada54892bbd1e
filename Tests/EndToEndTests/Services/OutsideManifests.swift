extension ServiceManifests {
  /// Services for clients from outside; the slices of those without a selector are the test's.
  static let outside = """
    apiVersion: v1
    kind: Service
    metadata: {name: open}
    spec:
      type: LoadBalancer
      ipFamilyPolicy: RequireDualStack
      externalIPs: ["198.51.100.7", "2001:db8:ffff::7"]
      selector: {app: web}
      ports:
        - {name: http, port: 80, targetPort: 8080, nodePort: 30080}
        - {name: dns, port: 53, protocol: UDP, targetPort: 5300, nodePort: 30053}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: kept}
    spec:
      type: NodePort
      externalTrafficPolicy: Local
      ipFamilyPolicy: RequireDualStack
      selector: {app: web}
      ports: [{name: http, port: 80, targetPort: 8080, nodePort: 30180}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: guarded}
    spec:
      type: LoadBalancer
      ipFamilyPolicy: RequireDualStack
      loadBalancerSourceRanges: ["192.0.2.2/32", "2001:db8::2/128"]
      selector: {app: web}
      ports: [{name: http, port: 80, targetPort: 8080}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: self}
    spec:
      ipFamilyPolicy: RequireDualStack
      selector: {name: web-1}
      ports:
        - {name: http, port: 80, targetPort: 8080}
        - {name: dns, port: 53, protocol: UDP, targetPort: 5300}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: silent}
    spec:
      type: NodePort
      ipFamilyPolicy: RequireDualStack
      selector: {name: web-1}
      ports: [{name: nobody, port: 9, protocol: UDP, targetPort: 9, nodePort: 30009}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: empty}
    spec:
      type: NodePort
      ipFamilyPolicy: RequireDualStack
      selector: {app: nobody}
      ports:
        - {name: http, port: 80, nodePort: 30480}
        - {name: dns, port: 53, protocol: UDP, nodePort: 30453}
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: abroad}
    spec:
      type: NodePort
      ipFamilyPolicy: RequireDualStack
      ports: [{name: http, port: 80, nodePort: 30280}]
    ---
    apiVersion: v1
    kind: Service
    metadata: {name: abroad-only}
    spec:
      type: NodePort
      externalTrafficPolicy: Local
      ipFamilyPolicy: RequireDualStack
      ports: [{name: http, port: 80, nodePort: 30380}]
    """
}
