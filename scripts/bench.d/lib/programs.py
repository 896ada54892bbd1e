"""The time that the node's BPF programs take, as the kernel counts it while somebody asks it to."""
import ctypes, json, os, subprocess

BPF_ENABLE_STATS, SYS_BPF = 32, 321
libc = ctypes.CDLL(None, use_errno=True)


class counting:
    """with counting(): ... the kernel counts runs and nanoseconds of all programs (bpf(2), BPF_ENABLE_STATS). No setting
    of the machine is changed: it ends with the descriptor."""

    def __enter__(self):
        kind = ctypes.c_uint32(0)
        self.descriptor = libc.syscall(SYS_BPF, BPF_ENABLE_STATS, ctypes.byref(kind), ctypes.sizeof(kind))
        if self.descriptor < 0:
            raise OSError(ctypes.get_errno(), "BPF_ENABLE_STATS")

    def __exit__(self, *_):
        os.close(self.descriptor)


def counted(node, name):
    """Nanoseconds and runs of a pinned program of the node, as far as they were counted."""
    path = node.maps().removesuffix("maps") + f"progs/{name}"
    shown = json.loads(subprocess.check_output(["bpftool", "-j", "prog", "show", "pinned", path]))
    return shown.get("run_time_ns", 0), shown.get("run_cnt", 0)
