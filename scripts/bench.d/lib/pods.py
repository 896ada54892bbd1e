"""Pods of a measurement: network namespaces that the real CNI plugin connects to a node, without processes in them."""
import json, os, socket, subprocess, time

import node as nodes


class Pods:
    """with Pods(node, 100) as pods: ...  Pod i has the label app=app-i. `times` holds the seconds of each ADD."""

    def __init__(self, node, count):
        self.node, self.count = node, count
        self.names = [f"{node.name}-{index}" for index in range(count)]
        self.times, self.results = [], []

    def __enter__(self):
        api = self.node.api()
        try:
            for index, name in enumerate(self.names):
                subprocess.run(["ip", "netns", "add", name], check=True)
                # Of another node, so that the node's own runtime leaves it to the plugin that is measured.
                api.ask("POST", "/api/v1/namespaces/default/pods", {
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {"name": name, "labels": {"app": f"app-{index}", "tier": f"tier-{index % 5}"}},
                    "spec": {"nodeName": "elsewhere", "containers": [{"name": "main", "image": "none", "command": ["true"]}]}})
            for name in self.names:
                began = time.perf_counter()
                result = self.plugin("ADD", name)
                self.times.append(time.perf_counter() - began)
                self.results.append(result)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def plugin(self, command, name):
        """Executes the plugin as a container runtime does; the result of ADD."""
        environment = {
            "CNI_COMMAND": command, "CNI_CONTAINERID": name, "CNI_NETNS": f"/run/netns/{name}", "CNI_IFNAME": "eth0",
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={name}", "CNI_PATH": "/opt/cni/bin",
            "PATH": os.environ["PATH"]}
        configuration = {"cniVersion": "1.1.0", "name": "martlet", "type": "martlet",
                         "agentSocket": str(self.node.state / "agent.sock")}
        done = subprocess.run(
            [self.node.martlet, "cni"], env=environment, input=json.dumps(configuration), capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"CNI {command} of {name}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout or "{}")

    def address(self, index, version=4):
        texts = [entry["address"].split("/")[0] for entry in self.results[index]["ips"]]
        return next(text for text in texts if (":" in text) == (version == 6))

    def socket(self, index, kind=socket.SOCK_DGRAM):
        """An IPv4 socket in the pod."""
        with nodes.inside(f"/run/netns/{self.names[index]}"):
            return socket.socket(socket.AF_INET, kind)
