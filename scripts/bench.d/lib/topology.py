"""Places to measure in: a node without a mesh and a node of Martlet, each with a client's and a server's namespace."""
import json, os, pathlib, shutil, subprocess, tempfile, time

SERVER_PORT = 8080
ECHO_PORT = 7007


def run(command, **options):
    """Runs a command to its end; its output is in the error when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def wait_for(what, condition, seconds=30):
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            raise RuntimeError(f"waited {seconds} s for {what}")
        time.sleep(0.05)


def resident(pid):
    """Bytes of VmRSS, proc(5)."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return None


def processor_seconds(pid):
    """User and system time that a process has used, of all its threads: proc(5), fields 14 and 15 of stat."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def end(process):
    if process and process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class PlainNode:
    """Two namespaces behind a third that routes between their veth pairs, as a node without a mesh does between pods."""

    pods = {"client": 2, "server": 3}

    def __init__(self, name, load):
        self.name, self.load, self.processes, self.namespaces = name, load, [], []

    def start(self):
        self.node = self._namespace("node")
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            run(["ip", "netns", "exec", self.node, "sysctl", "-qw", f"{key}=1"])
        run(["ip", "-n", self.node, "address", "add", "10.99.0.1/32", "dev", "lo"])
        for pod, host in self.pods.items():
            self._pod(self._namespace(pod), f"h{host}", host)
        self.serve(["--port", str(SERVER_PORT)], processor=1)
        self.serve(["--port", str(ECHO_PORT), "--echo"], processor=0)
        return self

    def _namespace(self, suffix):
        name = f"{self.name}-{suffix}"
        run(["ip", "netns", "add", name])
        self.namespaces.append(name)
        run(["ip", "-n", name, "link", "set", "lo", "up"])
        return name

    def _pod(self, namespace, device, host):
        run(["ip", "-n", self.node, "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", namespace])
        run(["ip", "-n", self.node, "address", "add", "169.254.1.1/32", "dev", device])
        run(["ip", "-n", self.node, "-6", "address", "add", "fe80::1/64", "dev", device, "nodad"])
        run(["ip", "-n", self.node, "link", "set", device, "up"])
        run(["ip", "-n", namespace, "address", "add", f"10.99.0.{host}/32", "dev", "eth0"])
        run(["ip", "-n", namespace, "-6", "address", "add", f"fd00:99::{host}/128", "dev", "eth0", "nodad"])
        run(["ip", "-n", namespace, "link", "set", "eth0", "up"])
        run(["ip", "-n", namespace, "route", "add", "default", "via", "169.254.1.1", "dev", "eth0", "onlink"])
        run(["ip", "-n", namespace, "-6", "route", "add", "default", "via", "fe80::1", "dev", "eth0"])
        run(["ip", "-n", self.node, "route", "add", f"10.99.0.{host}/32", "dev", device])
        run(["ip", "-n", self.node, "-6", "route", "add", f"fd00:99::{host}/128", "dev", device])

    def serve(self, arguments, processor):
        self.processes.append(subprocess.Popen(
            ["ip", "netns", "exec", f"{self.name}-server", "taskset", "-c", str(processor), self.load, "bench", "serve",
             *arguments], stdout=subprocess.DEVNULL))

    def client(self, command):
        return ["ip", "netns", "exec", f"{self.name}-client", *command]

    def servant(self, _):
        return None

    def address(self, _, family):
        return "10.99.0.3" if family == 4 else "[fd00:99::3]"

    def stop(self):
        for process in reversed(self.processes):
            end(process)
        for namespace in self.namespaces:
            subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


class MartletNode:
    """`martlet up` in a namespace of its own; the same programs as pods."""

    def __init__(self, name, martlet, load):
        self.name, self.martlet, self.load, self.process, self.directory = name, martlet, load, None, None

    def start(self):
        self.directory = tempfile.mkdtemp(prefix=f"{self.name}.", dir="/tmp")
        self.environment = dict(os.environ, MARTLET_STATE_DIR=self.directory, HOME=self.directory)
        run(["ip", "netns", "add", self.name])
        run(["ip", "-n", self.name, "link", "set", "lo", "up"])
        self.log = open(f"{self.directory}.log", "w")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, self.martlet, "up", "--node-name", self.name], env=self.environment,
            stdout=self.log, stderr=self.log)
        self.do([self.martlet, "status", "--wait", "--timeout", "60s"])
        return self

    def do(self, command, **options):
        return run(["ip", "netns", "exec", self.name, *command], env=self.environment, **options)

    def apply(self, manifest):
        self.do(["kubectl", "--kubeconfig", f"{self.directory}/kubeconfig", "apply", "-f", "-"], input=manifest)
        self.do([self.martlet, "policy", "wait"])

    def pod(self, name, command):
        self.do([self.martlet, "run", "--name", name, "-l", f"app={name}", "--detach", "--", *command])

    def server(self, name, arguments, processor):
        self.pod(name, ["taskset", "-c", str(processor), self.load, "bench", "serve", *arguments])

    def client(self, command, pod="client"):
        return ["ip", "netns", "exec", self.name, "env", f"MARTLET_STATE_DIR={self.directory}", self.martlet, "exec", pod,
                "--", *command]

    def address(self, pod, family):
        kubectl = ["kubectl", "--kubeconfig", f"{self.directory}/kubeconfig", "get", "pod", pod, "-o", "json"]
        addresses = [entry["ip"] for entry in json.loads(self.do(kubectl))["status"]["podIPs"]]
        text = next(address for address in addresses if (":" in address) == (family == 6))
        return text if family == 4 else f"[{text}]"

    def servant(self, verb):
        """The pid of the node's process with that verb."""
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
                state = f"MARTLET_STATE_DIR={self.directory}".encode()
                if len(words) > 1 and words[1] == verb.encode() and (
                        self.directory.encode() in b"\0".join(words) or state in (entry / "environ").read_bytes()):
                    return int(entry.name)
            except OSError:
                continue
        return None

    def stop(self):
        end(self.process)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)
        if self.directory:
            shutil.rmtree(self.directory, ignore_errors=True)
            pathlib.Path(f"{self.directory}.log").unlink(missing_ok=True)
