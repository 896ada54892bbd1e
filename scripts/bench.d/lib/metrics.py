"""The agent's metrics."""
import http.client

import node as nodes


def value(node, name, port=9962):
    """The sum of a metric's samples; None while nobody serves it."""
    try:
        with nodes.inside(node.netns):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.connect()
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
    except OSError:
        return None
    samples = [float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{"))]
    return sum(samples) if samples else None
