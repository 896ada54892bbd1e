"""What may not grow: bench/thresholds/*.json, the same for `make bench` and `make test`."""
import pathlib

import figures

FOLDER = pathlib.Path(__file__).resolve().parents[3] / "bench/thresholds"


def thresholds(name):
    """{id: the most that is allowed}"""
    return figures.read(FOLDER / f"{name}.json")
