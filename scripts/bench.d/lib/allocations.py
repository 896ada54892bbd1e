"""How often a process takes memory from the heap: probes in the C library (uprobes, perf_event_open(2)), whose counts the
kernel keeps for each thread."""
import ctypes, os, pathlib, struct

FUNCTIONS = ("malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc")
PMU = pathlib.Path("/sys/bus/event_source/devices/uprobe/type")
PERF_EVENT_OPEN = {"x86_64": 298, "aarch64": 241}
# struct perf_event_attr up to config2 (PERF_ATTR_SIZE_VER1), of which the probe's place are the last two.
ATTRIBUTES = struct.Struct("=IIQQQQQIIQQ")

library = ctypes.CDLL("libc.so.6", use_errno=True)


def place(function):
    """Path of the C library and where in the file the function is."""
    address = ctypes.cast(getattr(library, function), ctypes.c_void_p).value
    for line in pathlib.Path("/proc/self/maps").read_text().splitlines():
        bounds, _, offset, _, _, *path = line.split(maxsplit=5)
        start, end = (int(bound, 16) for bound in bounds.split("-"))
        if start <= address < end and path:
            return path[0], address - start + int(offset, 16)
    raise RuntimeError(f"{function} is in no file")


class Allocations:
    """Counts from its making on, for the threads that the process has then."""

    def __init__(self, pid):
        if not PMU.exists():
            raise RuntimeError("this kernel has no uprobes (CONFIG_UPROBE_EVENTS)")
        kind, self.events = int(PMU.read_text()), []
        maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
        for function in FUNCTIONS:
            path, offset = place(function)
            if path not in maps:
                raise RuntimeError(f"process {pid} does not use {path}")
            text = ctypes.create_string_buffer(path.encode())
            attributes = ATTRIBUTES.pack(kind, ATTRIBUTES.size, 0, 0, 0, 0, 0, 0, 0, ctypes.addressof(text), offset)
            for thread in os.listdir(f"/proc/{pid}/task"):
                event = library.syscall(PERF_EVENT_OPEN[os.uname().machine], ctypes.c_char_p(attributes), int(thread), -1, -1, 8)
                if event < 0:
                    raise OSError(ctypes.get_errno(), f"perf_event_open: {os.strerror(ctypes.get_errno())}")
                self.events.append(event)

    def count(self):
        return sum(struct.unpack("=Q", os.read(event, 8))[0] for event in self.events)

    def close(self):
        for event in self.events:
            os.close(event)
