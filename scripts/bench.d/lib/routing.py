"""Routes, the same for Martlet and for Envoy."""
import gateway

# What the weighted route of the rates chooses from.
VERSIONS = {"default/v1": 90, "default/v2": 10}
# Tenants' routes: a header and a path each, as generated configurations have them.
TENANTS, LISTENERS = 5000, 10


def table(routes):
    return {"name": "routes", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}


def canary():
    """A header chooses a version; all else is divided."""
    weighted = [{"name": name, "weight": weight} for name, weight in VERSIONS.items()]
    return table([
        {"match": {"prefix": "/", "headers": [{"name": "end-user", "string_match": {"exact": "jason"}}]},
         "route": {"cluster": "default/v2"}},
        {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": weighted}}}])


def tenant(index, said):
    """A tenant's orders go to a cluster, and its version is answered: what changes when the route is written again."""
    header = [{"name": "x-tenant", "string_match": {"exact": f"tenant-{index}"}}]
    return [
        {"name": f"version-{index}", "match": {"path": f"/api/v1/tenants/{index}/version", "headers": header},
         "direct_response": {"status": 200, "body": {"inline_string": said}}},
        {"name": f"orders-{index}", "match": {"path_separated_prefix": f"/api/v1/tenants/{index}/orders", "headers": header},
         "route": {"cluster": list(VERSIONS)[index % 2], "timeout": "3s",
                   "retry_policy": {"retry_on": "5xx,connect-failure", "num_retries": 2}},
         "request_headers_to_add": [{"header": {"key": "x-route", "value": f"orders-{index}"}}]}]


def tenants(listener, count):
    """A listener's share of `count` routes, two for each tenant."""
    share = count // LISTENERS // 2
    return table([route for index in range(listener * share, (listener + 1) * share) for route in tenant(index, "0")])


def object(name, service, routes):
    """A CiliumEnvoyConfig that leads a Service to the routes."""
    listener = {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": name, "filter_chains": [
        {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": gateway.manager(routes)}]}]}
    return {"apiVersion": "cilium.io/v2", "kind": "CiliumEnvoyConfig", "metadata": {"name": name, "namespace": "default"},
            "spec": {"services": [{"name": service, "namespace": "default"}],
                     "backendServices": [{"name": cluster.split("/")[1], "namespace": "default"} for cluster in VERSIONS],
                     "resources": [listener]}}


def service(name, app, port):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"app": app}, "ipFamilyPolicy": "PreferDualStack",
                     "ports": [{"name": "http", "port": port, "targetPort": port}]}}
