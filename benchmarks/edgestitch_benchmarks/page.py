"""report.html: one page that needs nothing else. Style, script, figures and pictures are inside.

The page is useful without its script: every number stands in a table. It asks the network for
nothing, which its Content-Security-Policy has the browser enforce.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from . import target_table
from .against_litert import against_litert
from .answer import basis
from .draw_front import draw_front, front_lines
from .draw_lines import draw_reliability, draw_throughput
from .draw_strips import draw_cold_start, draw_latency, draw_sizes
from .drawing import DASHES, PART_COLOURS, Drawn, engine_colour, marker
from .grid import MISSING
from .page_choices import Choice, choices_of
from .page_tables import (
    PageTable,
    cold_start_numbers,
    every_row,
    latency_numbers,
    recommended_cards,
    size_numbers,
    table_of,
    throughput_numbers,
)
from .report import Report, Row
from .table import comparisons, heading, reasons

MOST_BYTES = 3_000_000
# How many artifacts' answers the page holds; fewer where it would be too large.
_CHOICES = (None, 12, 6, 2, 0)
# What a machine tells of itself, in words and with the unit.
_MACHINE = {
    "memory_mb": "memory, MB",
    "virtual": "virtual machine",
    "governor": "frequency governor",
    "load_1m": "load of the minute before",
    "isa": "instruction sets",
    "temperature_c": "temperature, degrees C",
    "frequency_mhz": "frequency, MHz",
}


def as_html(report: Report) -> str:
    """The report as one page.

    Where it would be larger than MOST_BYTES, first answers and then graphs are left out, and said
    so; what is left after that stays, whatever its size.
    """
    names = full_names(report)
    figures = _figures(report, names)
    for most in _CHOICES:
        page = _page(report, names, figures, most_choices=most, graphs=report.graphs)
        if len(page.encode(errors="backslashreplace")) <= MOST_BYTES:
            return page
    return _page(report, names, figures, most_choices=0, graphs={})


def full_names(report: Report) -> list[str]:
    """Each row's name, its run first where there are several and the file does not say it."""
    return [_with_run(report, row, row.name) for row in report.rows]


def _with_run(report: Report, row: Row, name: str) -> str:
    if len(report.runs) < 2 or row.run is None:
        return name
    told = [
        run.name for run in report.runs if row.artifact.startswith((f"{run.name}-", f"{run.name}/"))
    ]
    return name if max(told, key=len, default=None) == row.run else f"{row.run}: {name}"


def _page(
    report: Report,
    names: Sequence[str],
    figures: tuple[dict[str, Drawn], dict[str, PageTable]],
    *,
    most_choices: int | None,
    graphs: dict[str, str],
) -> str:
    from bokeh.resources import Resources
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader(__package__ or "edgestitch_benchmarks"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["script_json"] = lambda value: Markup(_script_json(value))
    choices = choices_of(report, names, most=most_choices)
    drawn, numbers = figures
    reliability = _reliability(choices)
    template = files(__package__ or "edgestitch_benchmarks") / "templates"
    library = Resources(mode="inline", components=["bokeh"]).js_raw
    return environment.get_template("report.html").render(
        report=report,
        heading=heading(report),
        basis=basis(report.rows),
        missing=MISSING,
        recommended=recommended_cards(report, names),
        drawn=drawn,
        numbers=numbers,
        front=[
            (letter, names[report.rows.index(row)], told)
            for letter, row, told in front_lines(report.rows)
        ],
        every_row=every_row(report, names),
        row_words=[
            f"{name} {row.precision} {row.format}"
            for row, name in zip(report.rows, names, strict=True)
        ],
        comparisons=comparisons(report),
        compared=against_litert(report),
        reasons=reasons(report),
        choices=choices,
        left_out=_left_out(report, names, choices, graphs),
        reliability=reliability,
        curves={one.key: {"chosen": one.curve, "float": one.float_curve} for one in choices},
        pictures=_pictures(report, choices),
        graphs=_graphs(graphs),
        target_table=table_of(
            "targets",
            "C files on microcontrollers",
            target_table.columns_of(report),
            report.targets,
        ),
        target_title=target_table.TITLE,
        target_told=target_table.TOLD,
        target_notes=target_table.notes(report),
        target_made_with=target_table.made_with(report),
        machines=_machines(report),
        hashes=hashes(report),
        swatch=_swatch,
        style=Markup((template / "report.css").read_text("utf-8")),
        script=Markup((template / "report.js").read_text("utf-8")),
        library=[Markup(part.replace("</script", "<\\/script")) for part in library],
    )


def _figures(report: Report, names: Sequence[str]) -> tuple[dict[str, Drawn], dict[str, PageTable]]:
    """The figures by key, and the tables of their numbers by key."""
    rows, sized = report.rows, _files(report)
    found = (
        draw_front(rows, names),
        draw_latency(rows, names),
        draw_cold_start(rows, names),
        draw_sizes(sized),
        draw_throughput(rows, names),
    )
    tables = (
        latency_numbers(rows, names),
        cold_start_numbers(rows, names),
        size_numbers(sized),
        throughput_numbers(report, names),
    )
    return {one.key: one for one in found if one}, {one.key: one for one in tables}


def _files(report: Report) -> list[tuple[str, dict[str, int]]]:
    """Each file once, by its name with its run where that is needed, and its bytes by part."""
    sized: dict[tuple[str | None, str], tuple[str, dict[str, int]]] = {}
    for row in report.rows:
        if row.machine is not None:
            continue
        parts = row.parts or ({"model": row.bytes} if row.bytes else None)
        if parts:
            sized.setdefault((row.run, row.artifact), (_with_run(report, row, row.artifact), parts))
    return list(sized.values())


def _reliability(choices: Sequence[Choice]) -> Drawn | None:
    chosen = next((one for one in choices if one.chosen), None)
    if chosen is None:
        return None
    bins = [b for one in choices for b in (*one.bins, *one.float_bins) if b.confidence is not None]
    least = min((b.confidence or 0 for b in bins), default=0.0)
    return draw_reliability(chosen.float_bins, chosen.bins, least=least)


def _left_out(
    report: Report, names: Sequence[str], choices: Sequence[Choice], graphs: dict[str, str]
) -> str | None:
    whole = len(choices_of(report, names, most=None))
    told = []
    if len(choices) < whole:
        told.append(f"the answers of {whole - len(choices)} of {whole} artifacts")
    if not graphs and report.graphs:
        told.append("the graphs")
    if not told:
        return None
    return (
        f"Left out, since the page would be larger than {MOST_BYTES / 1e6:g} MB: "
        f"{' and '.join(told)}. "
        "report.json has all numbers; a report of fewer runs has all on its page."
    )


def _pictures(report: Report, choices: Sequence[Choice]) -> list[tuple[int, int, int, str]]:
    """Each picture that is shown, once: index, width, height, PNG as base64."""
    shown = sorted({c.image for one in choices for c in one.flips if c.pictured})
    found = []
    for image in shown:
        content = report.pictures[image]
        width, height = struct.unpack(">II", content[16:24])  # PNG: the header's first fields
        found.append((image, width, height, base64.b64encode(content).decode()))
    return found


def _graphs(graphs: dict[str, str]) -> list[tuple[str, str]]:
    """Each graph as a picture of its own: its style and its ids are not the page's."""
    return [(file, base64.b64encode(svg.encode()).decode()) for file, svg in graphs.items()]


def _machines(report: Report) -> list[tuple[str, list[tuple[str, str]]]]:
    """Each machine by its title, with what it told of itself."""
    here = [
        *_told(report.machine),
        ("command", report.command),
        *report.versions.items(),
    ]
    found = [("This machine", here)]
    for one in report.added:
        told = [*_told(one.machine), ("command", one.command), *one.versions.items()]
        found.append((one.label, told))
    return found


def _told(machine: dict[str, Any]) -> list[tuple[str, str]]:
    return [(_MACHINE.get(name, name), _words(value)) for name, value in machine.items()]


def _words(value: Any) -> str:
    if value is None or value in ([], ()):
        return "not told"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(held)}" for name, held in value.items())
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def hashes(report: Report) -> list[tuple[str, str]]:
    """Each file of the report once, with its SHA-256."""
    rows: Sequence[Row | Any] = (*report.rows, *report.targets)
    return list({row.artifact: row.sha256 or "not readable" for row in rows}.items())


def _swatch(kind: str, name: str) -> dict[str, Any]:
    """What the legend draws for a name."""
    if kind == "precision":
        return {"shape": marker(name), "dash": " ".join(map(str, DASHES.get(name, []))) or "none"}
    if kind == "part":
        colour, hatch = PART_COLOURS.get(name, ("#7b8490", " "))
        return {"shape": "box", "colour": colour, "hatch": hatch}
    return {"shape": "dot", "colour": engine_colour(name)}


def _script_json(value: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
