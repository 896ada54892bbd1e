/// Every message that is read, in the order of the documentation.
enum KnownMessages {
  static let all: [MessageFields] = [
    Listener.fields, Listener.chainFields, Listener.filterFields, Listener.listenerFilterFields,
    HTTPConnectionManager.fields, HTTPConnectionManager.rdsFields, HTTPConnectionManager.commonFields,
    HTTPConnectionManager.upgradeFields, AccessLogger.fields, AccessLogger.fileFields, AccessLogger.outputFields,
    AccessLogger.errorFields, LogFormat.fields, AccessLogFilter.fields, AccessLogFilter.statusFields,
    AccessLogFilter.durationFields, AccessLogFilter.comparisonFields, AccessLogFilter.numberFields,
    AccessLogFilter.healthFields, AccessLogFilter.traceableFields, AccessLogFilter.runtimeFields,
    AccessLogFilter.andFields, AccessLogFilter.orFields, AccessLogFilter.headerFields, AccessLogFilter.flagFields,
    TracingConfig.fields, TracingConfig.percentFields, TracingConfig.providerFields,
    TracingConfig.openTelemetryFields, TracingConfig.serviceFields, TracingConfig.uriFields, CustomTag.fields,
    CustomTag.literalFields, CustomTag.headerFields, HTTPFilter.fields, HTTPRouter.fields, PerFilterConfigs.fields,
    HeaderMutationFilter.fields, HeaderMutationFilter.routeFields, HeaderMutationRules.fields,
    HeaderMutationRule.fields,
    HeaderMutationRule.matchFields, HTTPFilter.corsFields, CorsPolicy.fields, AccessControl.fields,
    AccessControl.routeFields, AccessRules.fields, AccessPolicy.fields, AccessTest.permissionFields,
    AccessTest.permissionSetFields, AccessTest.principalFields, AccessTest.principalSetFields, AccessTest.pathFields,
    AccessTest.blockFields, AccessTest.portFields, Fault.fields, Fault.delayFields, Fault.abortFields, RateLimit.fields,
    RateLimit.statusFields, RateLimit.bucketFields, RequestBuffer.fields, RequestBuffer.routeFields,
    RouteConfiguration.fields, VirtualHost.fields, Route.fields, RouteMatch.fields, HeaderMatcher.fields,
    HeaderMatcher.rangeFields, QueryParameterMatcher.fields, TextMatcher.fields, SafeRegex.fields,
    RegexSubstitution.fields, Fraction.runtimeFields, Fraction.fields, RouteAction.fields, WeightedClusters.fields,
    WeightedClusters.Cluster.fields, RetryPolicy.fields, RetryPolicy.backOffFields,
    HashPolicy.fields, HashPolicy.headerFields, HashPolicy.cookieFields, HashPolicy.attributeFields,
    HashPolicy.connectionFields, HashPolicy.parameterFields, RedirectAction.fields, DirectResponse.fields,
    DirectResponse.bodyFields, HeaderAddition.fields, HeaderAddition.headerFields,
    Cluster.fields, Cluster.edsFields, Cluster.ringFields, Cluster.maglevFields, Cluster.leastFields,
    Cluster.roundRobinFields, Cluster.protocolFields, Cluster.explicitFields, Cluster.downstreamFields,
    Cluster.http1Fields, Cluster.http2Fields, CircuitBreakers.fields, CircuitBreakers.thresholdFields,
    CommonBalancing.fields, CommonBalancing.percentFields, OutlierDetection.fields, HealthCheck.fields,
    HTTPHealthCheck.fields, TCPHealthCheck.fields, TCPHealthCheck.payloadFields, NameResolution.refreshFields,
    LoadAssignment.fields,
    LoadAssignment.localityFields, LoadAssignment.lbEndpointFields,
    LoadAssignment.endpointFields, LoadAssignment.checkFields, LoadAssignment.addressFields,
    LoadAssignment.socketAddressFields,
  ]
}

extension MessageFields {
  /// The message's lines in docs/routing.md.
  var documentation: String {
    func line(_ state: String, _ names: Set<String>) -> String {
      names.isEmpty ? "" : "- \(state): \(names.sorted().map { "`\($0)`" }.joined(separator: ", "))\n"
    }
    return "### \(message)\n\n" + line("read", read) + line("no effect", withoutEffect) + line("refused", refused)
  }
}
