"""Services as kube-proxy writes them for nftables and iptables, in the namespace of a PlainNode: the chains, what they ask of
a packet and in which order, and the comments, which in iptables are a part of what is walked. What concerns NodePorts, source
ranges and Services without endpoints is there and empty.
"""
import ipaddress, subprocess

ENDPOINTS = 5
PODS = "10.99.0.0/16"
SERVICES = "10.96.0.0/15"
MARK = "0x4000"


def others(count):
    """Frontend and endpoints of each of `count` services that nobody asks for."""
    first, second = ipaddress.ip_address("10.97.0.1"), ipaddress.ip_address("10.200.0.1")
    for index in range(count):
        yield str(first + index), [str(second + index * ENDPOINTS + number) for number in range(ENDPOINTS)]


def with_asked(asked, server, count):
    """`count` services as (address, endpoints, their port, whether anybody asks): those of `asked`, an address with the port
    that the one server listens on, stand in the middle."""
    services = [(address, endpoints, 8080, False) for address, endpoints in others(count - len(asked))]
    middle = len(services) // 2
    services[middle:middle] = [(address, [server] * ENDPOINTS, port, True) for address, port in asked.items()]
    return services


def load(namespace, command, text):
    done = subprocess.run(["ip", "netns", "exec", namespace, *command], input=text, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-500:]}")


def nft(namespace, services, port):
    """One lookup in a map finds the service's chain, which chooses the chain of an endpoint. Of services that nobody asks for
    the latter are left out: no packet gets there, and nft takes minutes for fifty thousand."""
    key = "ip daddr . meta l4proto . th dport"
    lines = ["table ip kube-proxy {",
             "set cluster-ips {", "type ipv4_addr;", f"elements = {{ {', '.join(address for address, *_ in services)} }}", "}",
             "set nodeport-ips {", "type ipv4_addr;", "elements = { 169.254.1.1 }", "}",
             *(f"map {name} {{\ntype {kind} : verdict;\n}}" for name, kind in (
                 ("firewall-ips", "ipv4_addr . inet_proto . inet_service"),
                 ("no-endpoint-services", "ipv4_addr . inet_proto . inet_service"),
                 ("no-endpoint-nodeports", "inet_proto . inet_service"), ("service-nodeports", "inet_proto . inet_service"))),
             f"chain mark-for-masquerade {{\nmark set mark or {MARK}\n}}"]
    for index, (address, endpoints, target, is_asked) in enumerate(services):
        for number, endpoint in enumerate(endpoints if is_asked else []):
            lines.append(f"chain endpoint-{index}-{number} {{\nip saddr {endpoint} jump mark-for-masquerade\n"
                         f"meta l4proto tcp dnat to {endpoint}:{target}\n}}")
        choices = ", ".join(f"{number} : {f'goto endpoint-{index}-{number}' if is_asked else 'accept'}" for number in range(len(endpoints)))
        lines.append(f"chain service-{index} {{\nip daddr {address} ip saddr != {PODS} jump mark-for-masquerade\n"
                     f"numgen random mod {len(endpoints)} vmap {{ {choices} }}\n}}")
    elements = ", ".join(f"{address} . tcp . {port} : goto service-{index}" for index, (address, *_) in enumerate(services))
    chains = {
        "cluster-ips-check": ["ip daddr @cluster-ips reject", f"ip daddr {{ {SERVICES} }} drop"],
        "firewall-check": [f"{key} vmap @firewall-ips"],
        "nodeport-endpoints-check": ["ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports"],
        "service-endpoints-check": [f"{key} vmap @no-endpoint-services"],
        "services": [f"{key} vmap @service-ips", "ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports"],
        "masquerading": [f"mark and {MARK} == 0 return", f"mark set mark xor {MARK}", "masquerade fully-random"],
        "filter-prerouting-pre-dnat": ["type filter hook prerouting priority -110;", "ct state new jump firewall-check"],
        "filter-output-pre-dnat": ["type filter hook output priority -110;", "ct state new jump firewall-check"],
        "filter-forward": ["type filter hook forward priority 0;", "ct state new jump service-endpoints-check",
                           "ct state new jump cluster-ips-check"],
        "filter-input": ["type filter hook input priority 0;", "ct state new jump nodeport-endpoints-check",
                         "ct state new jump service-endpoints-check"],
        "filter-output": ["type filter hook output priority 0;", "ct state new jump service-endpoints-check",
                          "ct state new jump cluster-ips-check"],
        "nat-prerouting": ["type nat hook prerouting priority -100;", "jump services"],
        "nat-output": ["type nat hook output priority -100;", "jump services"],
        "nat-postrouting": ["type nat hook postrouting priority 100;", "jump masquerading"],
    }
    lines += ["map service-ips {", "type ipv4_addr . inet_proto . inet_service : verdict;", f"elements = {{ {elements} }}", "}"]
    for name, rules in chains.items():
        lines += [f"chain {name} {{", *rules, "}"]
    load(namespace, ["nft", "-f", "-"], "\n".join([*lines, "}", ""]))


def iptables(namespace, services, port, program="iptables-nft-restore"):
    """A rule for each service, asked one after the other until one is about the packet. The program says which part of the
    kernel asks: that of nftables, as `iptables` of today's distributions and so kube-proxy has it, or the older one."""
    comment = lambda text: f'-m comment --comment "{text}"'
    is_new = "-m conntrack --ctstate NEW"
    portals, firewall = comment("kubernetes service portals"), comment("kubernetes load balancer firewall")
    external, health = comment("kubernetes externally-visible service portals"), comment("kubernetes health check service ports")
    lines = ["*filter", *(f":KUBE-{name} - [0:0]" for name in (
                 "NODEPORTS", "SERVICES", "EXTERNAL-SERVICES", "FORWARD", "PROXY-FIREWALL")),
             f"-A INPUT {is_new} {firewall} -j KUBE-PROXY-FIREWALL", f"-A INPUT {health} -j KUBE-NODEPORTS",
             f"-A INPUT {is_new} {external} -j KUBE-EXTERNAL-SERVICES",
             f"-A FORWARD {is_new} {firewall} -j KUBE-PROXY-FIREWALL",
             f"-A FORWARD {comment('kubernetes forwarding rules')} -j KUBE-FORWARD",
             f"-A FORWARD {is_new} {portals} -j KUBE-SERVICES", f"-A FORWARD {is_new} {external} -j KUBE-EXTERNAL-SERVICES",
             f"-A OUTPUT {is_new} {firewall} -j KUBE-PROXY-FIREWALL", f"-A OUTPUT {is_new} {portals} -j KUBE-SERVICES",
             "-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
             f"-A KUBE-FORWARD {comment('kubernetes forwarding rules')} -m mark --mark {MARK}/{MARK} -j ACCEPT",
             f"-A KUBE-FORWARD {comment('kubernetes forwarding conntrack rule')} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
             "COMMIT",
             "*nat", *(f":KUBE-{name} - [0:0]" for name in ("SERVICES", "NODEPORTS", "POSTROUTING", "MARK-MASQ")),
             *(f":KUBE-SVC-{index:016} - [0:0]" for index in range(len(services))),
             *(f":KUBE-SEP-{index:014}-{number} - [0:0]" for index, (_, endpoints, *_) in enumerate(services) for number in range(len(endpoints))),
             f"-A PREROUTING {portals} -j KUBE-SERVICES", f"-A OUTPUT {portals} -j KUBE-SERVICES",
             f"-A POSTROUTING {comment('kubernetes postrouting rules')} -j KUBE-POSTROUTING",
             f"-A KUBE-POSTROUTING -m mark ! --mark {MARK}/{MARK} -j RETURN", f"-A KUBE-POSTROUTING -j MARK --xor-mark {MARK}",
             f"-A KUBE-POSTROUTING {comment('kubernetes service traffic requiring SNAT')} -j MASQUERADE --random-fully",
             f"-A KUBE-MARK-MASQ -j MARK --or-mark {MARK}"]
    for index, (address, endpoints, target, _) in enumerate(services):
        name, chain = f"default/other-{index}:http", f"KUBE-SVC-{index:016}"
        is_for = f"-m tcp -p tcp -d {address} --dport {port}"
        lines += [f"-A KUBE-SERVICES {comment(f'{name} cluster IP')} {is_for} -j {chain}",
                  f"-A {chain} {comment(f'{name} cluster IP')} {is_for} ! -s {PODS} -j KUBE-MARK-MASQ"]
        for number, endpoint in enumerate(endpoints):
            left, link = len(endpoints) - number, f"KUBE-SEP-{index:014}-{number}"
            chance = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
            lines += [f"-A {chain} {comment(f'{name} -> {endpoint}:{target}')} {chance}-j {link}",
                      f"-A {link} {comment(name)} -s {endpoint} -j KUBE-MARK-MASQ",
                      f"-A {link} {comment(name)} -m tcp -p tcp -j DNAT --to-destination {endpoint}:{target}"]
    nodeports = comment("kubernetes service nodeports; NOTE: this must be the last rule in this chain")
    lines.append(f"-A KUBE-SERVICES {nodeports} -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
    load(namespace, [program], "\n".join([*lines, "COMMIT", ""]))


def iptables_legacy(namespace, services, port):
    iptables(namespace, services, port, "iptables-legacy-restore")
