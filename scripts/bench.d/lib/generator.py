"""Runs the load generator on processor 0."""
import json, subprocess


def run(client, load, verb, target, arguments):
    """What the generator says, as its JSON document. `client` puts a command where the client is."""
    done = subprocess.run(client(["taskset", "-c", "0", load, "bench", verb, target, "--json", *arguments]),
                          capture_output=True, text=True, timeout=60)
    if not done.stdout.startswith("{"):
        raise RuntimeError(f"{target}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def percentiles(document):
    return {entry["Percentile"]: entry["Value"] for entry in document["DurationHistogram"]["Percentiles"]}


def wrong(document):
    """Requests that were not sent, or not answered with 200."""
    return sum(count for code, count in document["RetCodes"].items() if code != "200") + document["Unsent"]
