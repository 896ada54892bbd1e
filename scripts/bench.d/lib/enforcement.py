"""How long the kernel goes on judging by the old policy after a new one is written to the API."""
import struct, subprocess, time

PORT = 7777


def policy(allowed):
    """Of pod 0: pod 1 may send to PORT, or may not."""
    return {
        "apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy",
        "metadata": {"name": "probe", "namespace": "default"},
        "spec": {
            "endpointSelector": {"matchLabels": {"app": "app-0"}},
            "ingress": [{
                "fromEndpoints": [{"matchLabels": {"app": "app-1"}}],
                "toPorts": [{"ports": [{"port": str(PORT if allowed else PORT + 1), "protocol": "UDP"}]}]}]}}


class Probe:
    """Sends a datagram from pod 1 to pod 0 every half millisecond and sees which of them arrive. Both pods are on the node,
    so a datagram that passes is in the receiver's socket when sendto returns."""

    QUIET = 0.020

    def __init__(self, pods):
        self.receiver, self.sender = pods.socket(0), pods.socket(1)
        self.receiver.bind(("0.0.0.0", PORT))
        self.receiver.setblocking(False)
        self.target = (pods.address(0), PORT)
        self.number = 0

    def passes(self):
        self.number += 1
        try:
            self.sender.sendto(struct.pack("!Q", self.number), self.target)
        except OSError:
            return False
        try:
            while True:
                if struct.unpack("!Q", self.receiver.recv(64))[0] == self.number:
                    return True
        except BlockingIOError:
            return False

    def wait(self, allowed, limit=5.0):
        """The moment of the first datagram that met the new verdict, once the verdict has stayed for QUIET seconds."""
        since, end = None, time.perf_counter() + limit
        while True:
            now = time.perf_counter()
            if self.passes() != allowed:
                since = None
            elif since is None:
                since = now
            if since is not None and now - since >= (0 if allowed else self.QUIET):
                return since
            if now > end:
                raise RuntimeError(f"the kernel does not {'allow' if allowed else 'deny'} after {limit} s")
            time.sleep(0.0005)

    def write(self, api, allowed):
        """Seconds from sending the write (the merge patch that kubectl sends) to the verdict, and to the API's answer."""
        path = "/apis/cilium.io/v2/namespaces/default/ciliumnetworkpolicies/probe"
        patch = {"spec": policy(allowed)["spec"]}
        began = time.perf_counter()
        api.send("PATCH", path, patch, "application/merge-patch+json")
        since = self.wait(allowed)
        api.answer()
        return since - began

    def apply(self, command, environment, allowed):
        """Seconds from starting `kubectl apply` to the verdict, and how long kubectl itself ran."""
        began = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        since = self.wait(allowed)
        if process.wait() != 0:
            raise RuntimeError("kubectl apply failed")
        return since - began, time.perf_counter() - began
