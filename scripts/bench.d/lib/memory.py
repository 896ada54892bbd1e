"""What processes and BPF maps occupy."""
import json, os, pathlib, subprocess


def resident(pid):
    """RSS of a process in bytes, and what it consists of: private memory, and pages of files (shared by all verbs)."""
    fields = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {key: int(fields[key].split()[0]) * 1024 for key in ("VmRSS", "RssAnon", "RssFile")}


def _memlock(identity):
    # bpftool holds the map open and reads the kernel's account of it from fdinfo.
    shown = json.loads(subprocess.check_output(["bpftool", "-j", "map", "show", "id", str(identity)]))
    return int(shown["bytes_memlock"])


def maps(folder):
    """Kernel memory in bytes of each map pinned in a folder, by name; the inner maps of a map of maps are summed."""
    found = {}
    for name in sorted(os.listdir(folder)):
        shown = json.loads(subprocess.check_output(["bpftool", "-j", "map", "show", "pinned", f"{folder}/{name}"]))
        found[name] = int(shown["bytes_memlock"])
        if shown["type"].endswith("_of_maps"):
            inner = json.loads(subprocess.check_output(["bpftool", "-j", "map", "dump", "pinned", f"{folder}/{name}"]))
            numbers = {sum(int(byte, 16) << 8 * place for place, byte in enumerate(entry["value"])) for entry in inner}
            found[f"{name}, inner"] = sum(_memlock(number) for number in numbers)
    return found
