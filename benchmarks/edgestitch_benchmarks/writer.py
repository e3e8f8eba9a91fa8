"""A report as files: report.json, report.md, report.html, whole or not at all."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from edgestitch_runtime.errors import EdgestitchError, os_error
from edgestitch_runtime.writing import write_files

from . import target_table
from .against_litert import against_litert
from .answer import basis
from .grid import Column
from .page import as_html, hashes
from .report import Report
from .table import (
    DECIDING,
    comparisons,
    heading,
    other_columns,
    reasons,
    recommendations,
    with_run,
)

__all__ = ["FILES", "as_html", "as_json", "as_markdown", "write_report"]

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
    # Together: of a full disk's half a report nothing could be told, and it would be in the way.
    files = {
        folder / name: text.encode(errors="backslashreplace") for name, text in content.items()
    }
    write_files(files, overwrite=overwrite)
    return list(files)


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
    """The report for a pull request, in GitHub's Markdown: the same numbers as on the page."""
    lines = [f"# Benchmark: {_plain(heading(report))}", "", f"**{_plain(report.answer)}**", ""]
    if basis(report.rows):
        lines += [_plain(basis(report.rows)), ""]
    if report.caveats:
        lines += ["## Caveats: what makes these numbers worth less", "", *_listed(report.caveats)]
    if report.recommended:
        lines += ["## Worth taking", "", *_listed(recommendations(report))]
    lines += [
        "## Rows",
        "",
        *_markdown_table(with_run(report, DECIDING), report.rows),
        "",
        _plain(comparisons(report)),
        "",
        *_listed(against_litert(report)),
        *_markdown_table(with_run(report, other_columns(report)), report.rows),
        "",
    ]
    if reasons(report):
        lines += ["## Rows without numbers", "", *_listed(reasons(report))]
    if report.targets:
        lines += [
            f"## {target_table.TITLE}",
            "",
            target_table.TOLD,
            "",
            *_markdown_table(target_table.columns_of(report), report.targets),
            "",
            *_listed([*target_table.notes(report), *target_table.made_with(report)]),
        ]
    lines += ["## What is timed, and what is not", "", *_listed(report.timed)]
    if report.not_measured:
        lines += ["## What was not measured", "", *_listed(report.not_measured)]
    lines += ["## Made by", "", f"- command: {_code(report.command)}"]
    lines += [f"- machine: {_plain(report.machine_line)}"]
    lines += [f"- {_plain(one.label)}: {_plain(one.machine_line)}" for one in report.added]
    lines += [f"- {_plain(name)}: {_plain(told)}" for name, told in report.versions.items()]
    lines += ["", "| file | sha256 |", "| --- | --- |"]
    lines += [f"| {_plain(name)} | `{digest}` |" for name, digest in hashes(report)]
    return "\n".join(lines) + "\n"


def _listed(lines: Sequence[str]) -> list[str]:
    """The lines as a list with an empty line behind it; [] of none."""
    return [*(f"- {_plain(text)}" for text in lines), ""] if lines else []


def _plain(text: str) -> str:
    """Text that Markdown shows as it is: no HTML, no link or picture, no cell's end."""
    for character in "\\`*<|":
        text = text.replace(character, f"\\{character}")
    return text.replace("](", "]\\(")


def _code(text: str) -> str:
    return f"`{text}`" if "`" not in text else _plain(text)


def _markdown_table(columns: Sequence[Column[R]], rows: Sequence[R]) -> list[str]:
    def line(cells: list[str]) -> str:
        return "| " + " | ".join(_plain(cell) for cell in cells) + " |"

    return [
        line([column.heading for column in columns]),
        line(["---:" if column.number else "---" for column in columns]),
        *(line([column.cell(row) for column in columns]) for row in rows),
    ]
