"""Services as kube-proxy writes them for nftables and iptables, in the namespace of a PlainNode.

Kinder than kube-proxy: a Service's endpoints need no chains of their own, and nothing is marked for masquerading.
"""
import ipaddress, shutil, subprocess

ENDPOINTS = 5


def others(count):
    """Frontend and endpoints of each of `count` services that nobody asks for."""
    first, second = ipaddress.ip_address("10.97.0.1"), ipaddress.ip_address("10.200.0.1")
    for index in range(count):
        yield str(first + index), [str(second + index * ENDPOINTS + number) for number in range(ENDPOINTS)]


def with_service(address, server, count):
    """`count` services, of which the one in the middle is that which is asked for; its endpoints are one server."""
    services = list(others(count - 1))
    services.insert(count // 2, (address, [server] * ENDPOINTS))
    return services


def load(namespace, command, text):
    done = subprocess.run(["ip", "netns", "exec", namespace, *command], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-500:]}")


def nft(namespace, services, port, target):
    """One lookup in a map finds the service's chain, which chooses an endpoint."""
    lines = ["table ip bench {"]
    for index, (_, endpoints) in enumerate(services):
        choices = ", ".join(f"{number} : {endpoint} . {target}" for number, endpoint in enumerate(endpoints))
        lines.append(f"chain service-{index} {{\nmeta l4proto tcp dnat ip addr . port to numgen random mod {len(endpoints)} map {{ {choices} }}\n}}")
    elements = ", ".join(f"{address} . tcp . {port} : goto service-{index}" for index, (address, _) in enumerate(services))
    lines += ["map services {", "type ipv4_addr . inet_proto . inet_service : verdict", f"elements = {{ {elements} }}", "}",
              "chain prerouting {", "type nat hook prerouting priority dstnat;",
              "ip daddr . meta l4proto . th dport vmap @services", "}", "}"]
    load(namespace, ["nft", "-f", "-"], "\n".join(lines))


def iptables(namespace, services, port, target):
    """A rule for each service, asked one after the other until one is about the packet."""
    program = shutil.which("iptables-legacy-restore") or "iptables-restore"
    lines = ["*nat", ":SERVICES - [0:0]", *(f":SVC-{index} - [0:0]" for index in range(len(services))),
             "-A PREROUTING -j SERVICES"]
    for index, (address, endpoints) in enumerate(services):
        lines.append(f"-A SERVICES -d {address}/32 -p tcp -m tcp --dport {port} -j SVC-{index}")
        for number, endpoint in enumerate(endpoints):
            left = len(endpoints) - number
            chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
            lines.append(f"-A SVC-{index} -p tcp {chance}-j DNAT --to-destination {endpoint}:{target}")
    load(namespace, [program], "\n".join([*lines, "COMMIT", ""]))
