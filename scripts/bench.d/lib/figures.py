"""What a part of the benchmark measured, in the form that scripts/bench.d/README describes."""
import json, operator, os, pathlib, signal, statistics, sys

OPERATORS = {"<=": operator.le, ">=": operator.ge}


def read(path):
    return json.loads(pathlib.Path(path).read_text())


def write(path, document):
    """Replaces the file in one step: a reader never sees half of it."""
    path = pathlib.Path(path)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(document, indent=1) + "\n")
    temporary.replace(path)


def met(value, target):
    """Whether a value reaches a target such as "<= 1.05"; None without a target or a value."""
    if target is None or value is None:
        return None
    comparison, limit = target.split()
    return OPERATORS[comparison](value, float(limit))


def end_cleanly():
    """Makes SIGTERM and SIGINT run what stands in `finally`, once: a second signal does not cut the cleaning up short."""
    def interrupted(number, _):
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        sys.exit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)


def seconds(text):
    """The seconds of a duration such as "500ms" or "2s"."""
    return float(text[:-2]) / 1000 if text.endswith("ms") else float(text[:-1])


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))]


class Part:
    """Collects one part's figures and tables; `save` writes them where scripts/bench wants them."""

    def __init__(self, title, order=50):
        self.document = {"run": os.environ.get("BENCH_RUN", ""), "title": title, "order": order,
                         "notes": [], "figures": [], "tables": []}

    def figure(self, id, title, rounds, unit, how, target=None, ratio_to=None, value=None, noise=None):
        """Adds a figure. `rounds` are the single measurements; the value is their median unless it is given."""
        rounds = [number for number in rounds if number is not None]
        if value is None and rounds:
            value = statistics.median(rounds)
        self.document["figures"].append({
            "id": id, "title": title, "value": value, "unit": unit, "ratio_to": ratio_to, "target": target,
            "met": met(value, target), "rounds": rounds, "spread": [min(rounds), max(rounds)] if rounds else None,
            "how": how, **({"noise": noise} if noise is not None else {})})
        return value

    def percentiles(self, id, title, values, how, target=None, batches=4):
        """p50 and p99 of all values, in seconds; as rounds, those of consecutive batches. The target is that of p99."""
        size = max(1, len(values) // batches)
        groups = [values[start:start + size] for start in range(0, size * batches, size) if values[start:start + size]]
        for name, share in (("p50", 0.50), ("p99", 0.99)):
            value = self.figure(
                f"{id}.{name}", f"{title}, {name}", [percentile(group, share) for group in groups], "s", how,
                target=target if name == "p99" else None, value=percentile(values, share))
            print(f"  {title}, {name}: {value * 1000:.1f} ms", flush=True)

    def table(self, title, header, rows):
        """Adds a table that stands beside the figures: rows of texts and numbers."""
        self.document["tables"].append({"title": title, "header": header, "rows": rows})

    def note(self, text):
        self.document["notes"].append(text)

    def save(self):
        path = os.environ.get("BENCH_OUT")
        if path:
            write(path, self.document)
        else:
            print(json.dumps(self.document, indent=1))
