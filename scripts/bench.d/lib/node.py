"""A node of its own for a measurement: a network namespace with `martlet up` in it, and the API of that node."""
import base64, ctypes, glob, http.client, json, os, pathlib, shutil, socket, ssl, subprocess, tempfile, time

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class inside:
    """with inside("/run/netns/x"): sockets made here belong to that network namespace for good."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(self.path, os.O_RDONLY)
        try:
            self.enter(there)
        finally:
            os.close(there)

    def __exit__(self, *_):
        self.enter(self.home)
        os.close(self.home)

    @staticmethod
    def enter(descriptor):
        if libc.setns(descriptor, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


class Node:
    """with Node("name", martlet) as node: ... ; the namespace, the processes and the state go at the end."""

    def __init__(self, name, martlet):
        self.name, self.martlet, self.netns = name, martlet, f"/run/netns/{name}"

    def __enter__(self):
        self.state = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}."))
        self.environment = dict(os.environ, MARTLET_STATE_DIR=str(self.state), HOME=str(self.state))
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.process = None
        try:
            subprocess.run(["ip", "-n", self.name, "link", "set", "lo", "up"], check=True)
            self.log = open(f"{self.state}.log", "w")
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, self.martlet, "up", "--node-name", self.name],
                env=self.environment, stdout=self.log, stderr=self.log)
            self.do(self.martlet, "status", "--wait", "--timeout", "60s")
            self.ready = time.monotonic()
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind, *_):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.log.close()
        subprocess.run(["ip", "netns", "del", self.name])
        if kind not in (None, KeyboardInterrupt):
            print(pathlib.Path(f"{self.state}.log").read_text()[-3000:])
        shutil.rmtree(self.state)
        os.unlink(f"{self.state}.log")

    def do(self, *command, **options):
        """Runs a command on the node; its output. Raises when it fails."""
        done = subprocess.run(
            ["ip", "netns", "exec", self.name, *command], env=self.environment, capture_output=True, text=True, **options)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def kubectl(self, *arguments, **options):
        return self.do("kubectl", "--kubeconfig", str(self.state / "kubeconfig"), *arguments, **options)

    def process_of(self, verb):
        """The pid of up, agent or proxy."""
        if verb == "up":
            return self.process.pid
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        children += [child for path in glob.glob(f"/proc/{self.process.pid}/task/*/children")
                     for child in pathlib.Path(path).read_text().split()]
        for child in children:
            if pathlib.Path(f"/proc/{child}/cmdline").read_text().split("\0")[1:2] == [verb]:
                return int(child)
        raise RuntimeError(f"no process martlet {verb}")

    def has(self, verb, other_than=None):
        """Whether there is such a process, another than one that ends."""
        try:
            return self.process_of(verb) != other_than
        except (RuntimeError, OSError):
            return False

    def instance(self):
        """Eight digits of the state directory: FNV-1a, as the node itself makes them."""
        value = 0x811C9DC5
        for byte in str(self.state).encode():
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
        return f"{value:08x}"

    def maps(self):
        """The folder of the pinned maps; `ip netns exec` gives the node a /sys of its own."""
        return f"/proc/{self.process.pid}/root/sys/fs/bpf/martlet/{self.instance()}/maps"

    def pod_netns(self, uid):
        """The network namespace of a pod that the node runs; its name is known in the node's mount namespace only."""
        return f"/proc/{self.process.pid}/root/run/netns/martlet-{self.instance()}-{uid[:8]}"

    def api(self):
        return API(self)


class API:
    """The node's Kubernetes API over one kept connection."""

    def __init__(self, node):
        config = json.loads(node.kubectl("config", "view", "--raw", "-o", "json"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        self.host, port = cluster["server"].removeprefix("https://").rsplit(":", 1)
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        self.headers = {"Content-Type": "application/json"}
        if "token" in user:
            self.headers["Authorization"] = f"Bearer {user['token']}"
        else:
            with tempfile.NamedTemporaryFile("w") as pair:
                for part in ("client-certificate-data", "client-key-data"):
                    pair.write(base64.b64decode(user[part]).decode() + "\n")
                pair.flush()
                context.load_cert_chain(pair.name)
        self.connection = http.client.HTTPSConnection(self.host, int(port), context=context)
        with inside(node.netns):
            self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method, path, body=None, content=None):
        """Sends a request without waiting for its answer."""
        headers = dict(self.headers, **({"Content-Type": content} if content else {}))
        self.connection.request(method, path, body if body is None else json.dumps(body), headers)

    def answer(self):
        response = self.connection.getresponse()
        body = json.loads(response.read() or "{}")
        if response.status >= 300:
            raise RuntimeError(f"the API answers {response.status}: {body.get('message')}")
        return body

    def ask(self, *request):
        self.send(*request)
        return self.answer()
