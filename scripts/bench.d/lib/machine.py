"""Names the machine, the kernel and the versions of a run."""
import os, platform, subprocess


def _first(path, key):
    try:
        with open(path) as lines:
            for line in lines:
                if line.startswith(key):
                    return line.split(":" if ":" in line else "=", 1)[1].strip().strip('"')
    except OSError:
        pass
    return "unknown"


def version(command):
    """The first line that a command prints, or "not installed"."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return ((done.stdout or done.stderr).strip().splitlines() or ["unknown"])[0].strip()
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"


def describe(run, martlet, root):
    """The document that scripts/bench writes to bench/results/machine.json."""
    memory = _first("/proc/meminfo", "MemTotal").split()[0]
    dirty = "" if version(["git", "-C", str(root), "status", "--porcelain", "Sources", "bpf"]) == "unknown" else " with changes"
    return {
        "run": run,
        "machine": {
            "processor": _first("/proc/cpuinfo", "model name"),
            "logical processors": os.cpu_count(),
            "memory": f"{int(memory) / 1048576:.1f} GiB" if memory.isdigit() else "unknown",
            "virtual": "yes" if "hypervisor" in open("/proc/cpuinfo").read() else "no",
            "system": _first("/etc/os-release", "PRETTY_NAME"),
            "kernel": platform.release(),
        },
        "versions": {
            "martlet": version([str(martlet), "--version"]),
            "commit": version(["git", "-C", str(root), "rev-parse", "--short", "HEAD"]) + dirty,
            "size of the executable": f"{martlet.stat().st_size / 1e6:.1f} MB" if martlet.exists() else "not built",
        },
    }


APART = "commit, of "


def measured_again(versions, parts, commit):
    """The table of versions when `parts` have been measured once more, at `commit`: the parts that were measured at another
    commit than the whole stand apart."""
    found, apart = {}, {}
    for name, value in versions.items():
        if not name.startswith(APART):
            found[name] = value
            continue
        apart.update({part: value for part in name.removeprefix(APART).split(", ") if part not in parts})
    apart.update({part: commit for part in parts if commit != versions["commit"]})
    for value in dict.fromkeys(apart.values()):
        found[APART + ", ".join(part for part in apart if apart[part] == value)] = value
    return found
