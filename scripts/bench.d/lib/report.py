"""Turns the JSON of one run into bench/RESULTS.md. No figure in it is typed by hand."""
import figures

SCALES = {"s": [(1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")],
          "B": [(2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B")]}


def number(value):
    if isinstance(value, str):
        return value
    if value is None:
        return "–"
    if isinstance(value, int) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def quantity(value, unit):
    """A value with its unit, scaled for people: 0.0123, "s" is "12.3 ms"."""
    if value is None:
        return "not measured"
    if unit == "×":
        return f"{value:.3f}×"
    for scale, name in SCALES.get(unit, []):
        if abs(value) >= scale:
            return f"{number(value / scale)} {name}"
    return f"{number(value)} {unit}".strip()


def _target(figure):
    if not figure["target"]:
        return ""
    comparison, limit = figure["target"].split()
    sign = {"<=": "≤", ">=": "≥"}[comparison]
    return f"{sign} {limit}×" if figure["unit"] == "×" else f"{sign} {quantity(float(limit), figure['unit'])}"


def _table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]


def _verdict(figure):
    """met or missed; with the noise when the distance from the target is smaller than that."""
    verdict = {True: "met", False: "**missed**", None: ""}[figure["met"]]
    noise = figure.get("noise")
    if figure["met"] is not None and noise and abs(figure["value"] - float(figure["target"].split()[1])) < noise:
        verdict += f", within noise (±{number(noise)})"
    return verdict


def _spread(figure):
    if not figure["spread"] or len(figure["rounds"]) < 2:
        return ""
    low, high = figure["spread"]
    return f"{quantity(low, figure['unit'])} … {quantity(high, figure['unit'])}"


def parts(results):
    """The parts of the run that machine.json names, in their order; a part of another run is left out."""
    run = figures.read(results / "machine.json")["run"]
    found = [figures.read(path) for path in sorted(results.glob("*.json")) if path.name != "machine.json"]
    return sorted((part for part in found if part["run"] == run), key=lambda part: part["order"])


def summary(results):
    """One line: how many targets were met and which were not."""
    judged = [figure for part in parts(results) for figure in part["figures"] if figure["met"] is not None]
    missed = [figure["id"] for figure in judged if not figure["met"]]
    return f"{len(judged) - len(missed)} of {len(judged)} targets met" + (f"; missed: {', '.join(missed)}" if missed else "")


def document(results):
    about = figures.read(results / "machine.json")
    lines = ["# Measured results", "",
             "`make bench` wrote this page from the JSON beside it (`bench/results/`), all of one machine, and of one run but for parts whose commit stands apart below. Compare",
             "figures within a run, by their ratios; absolute times belong to the machine. How each was measured stands below",
             "its table. A value is the median of its rounds unless that says otherwise; the spread is their lowest and highest. A",
             "verdict \"within noise\" is nearer to its target than two runs of one and the same thing are to each other: another",
             "run may say otherwise.", "",
             f"**{summary(results)}.**", "", "## Machine", ""]
    facts = {"run": about["run"], **about["machine"], **about["versions"]}
    for part in parts(results):
        facts.update(part.get("versions", {}))
    lines += _table(["what", "value"], facts.items())
    for part in parts(results):
        lines += ["", f"## {part['title']}", ""]
        if part["figures"]:
            lines += _table(
                ["figure", "measured", "target", "", "spread", "rounds"],
                [[f["title"], quantity(f["value"], f["unit"]), _target(f), _verdict(f), _spread(f), len(f["rounds"])]
                 for f in part["figures"]])
        for table in part["tables"]:
            lines += ["", f"### {table['title']}", ""]
            lines += _table(table["header"], [[number(cell) for cell in row] for row in table["rows"]])
        lines += [""] + [f"{note}\n" for note in part["notes"]]
        ways = {}
        for figure in part["figures"]:
            ways.setdefault(figure["how"], []).append(figure["title"])
        lines += ["How:", ""] + [f"- {'; '.join(titles)}: {how}" for how, titles in ways.items()]
    return "\n".join(lines).rstrip() + "\n"
