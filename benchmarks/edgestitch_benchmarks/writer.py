"""A report as files: report.json, report.md, report.html, whole or not at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from edgestitch_runtime.errors import EdgestitchError, os_error
from edgestitch_runtime.writing import write_file

from . import pictures, target_table
from .against_litert import against_litert
from .grid import MISSING, Column
from .report import Report
from .table import COLUMNS, COMPARISONS, heading, reasons

R = TypeVar("R")
FILES = ("report.json", "report.md", "report.html")


def write_report(report: Report, folder: Path | str, *, overwrite: bool = False) -> list[Path]:
    """Writes the report's three files into `folder`, which is made if need be, and returns them.

    Raises EdgestitchError when a file is there and `overwrite` is false, or the system refuses.
    """
    folder = Path(folder)
    content = {
        "report.json": as_json(report),
        "report.md": as_markdown(report),
        "report.html": as_html(report),
    }
    for name, text in content.items():
        write_file(folder / name, text.encode(), overwrite=overwrite)
    return [folder / name for name in content]


def refuse_existing(folder: Path) -> None:
    """Raises EdgestitchError when `folder` holds a report: asked before minutes are spent."""
    for name in FILES:
        if (folder / name).exists():
            raise EdgestitchError(
                f"{folder / name} exists, and a new measurement never equals it",
                hint="--force measures again and overwrites it",
            )


def probe_folder(folder: Path) -> None:
    """Raises EdgestitchError when `folder` cannot be written: asked before minutes are spent."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0" * 65536)
    except OSError as error:
        raise os_error(f"write in {folder}", error) from None


def as_json(report: Report) -> str:
    """The report as JSON text, the same numbers unrounded."""
    return json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_markdown(report: Report) -> str:
    """The report for a pull request, in GitHub's Markdown."""
    lines = [f"# Benchmark: {heading(report)}", "", *(f"- {text}" for text in report.timed), ""]
    lines += [*_markdown_table(COLUMNS, report.rows), "", COMPARISONS, ""]
    if against_litert(report):
        lines += [*(f"- {text}" for text in against_litert(report)), ""]
    if reasons(report):
        lines += ["## Rows without numbers", "", *(f"- {text}" for text in reasons(report)), ""]
    if report.targets:
        lines += [
            f"## {target_table.TITLE}",
            "",
            target_table.TOLD,
            "",
            *_markdown_table(target_table.columns_of(report), report.targets),
            "",
            *(f"- {text}" for text in target_table.notes(report)),
            *(f"- {text}" for text in target_table.made_with(report)),
            "",
        ]
    lines += [
        "## Made by",
        "",
        f"- command: `{report.command}`",
        f"- machine: {report.machine_line}",
    ]
    lines += [f"- {name}: {told}" for name, told in report.versions.items()]
    lines += ["", "| file | sha256 |", "| --- | --- |"]
    lines += [f"| {name} | `{digest}` |" for name, digest in _hashes(report).items()]
    return "\n".join(lines) + "\n"


def _markdown_table(columns: Sequence[Column[R]], rows: Sequence[R]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return [
        line([column.heading for column in columns]),
        line(["---:" if column.number else "---" for column in columns]),
        *(line([column.cell(row) for column in columns]) for row in rows),
    ]


def as_html(report: Report) -> str:
    """The report as one page that needs nothing else: style and pictures are inside."""
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
    accuracy = pictures.accuracy_against_latency(report)
    return environment.get_template("report.html").render(
        report=report,
        heading=heading(report),
        missing=MISSING,
        comparisons=COMPARISONS,
        compared=against_litert(report),
        columns=COLUMNS,
        reasons=reasons(report),
        target_title=target_table.TITLE,
        target_told=target_table.TOLD,
        target_columns=target_table.columns_of(report),
        target_notes=target_table.notes(report),
        target_made_with=target_table.made_with(report),
        hashes=_hashes(report),
        accuracy_picture=Markup(accuracy) if accuracy else None,
        size_picture=Markup(pictures.sizes(report)),
    )


def _hashes(report: Report) -> dict[str, str]:
    files = (*report.rows, *report.targets)
    return {row.artifact: row.sha256 or "not readable" for row in files}
