"""report.html in a real browser: Debian's Chromium, headless."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import sync_playwright

from edgestitch_benchmarks.page import as_html
from edgestitch_benchmarks.report import Report
from made_reports import HOSTILE, hostile, made_report, of_two_runs, without_numbers

# Where the canvases of a figure lie: in the shadow of Bokeh's elements.
PIXELS = """(id) => {
  const find = (node) => {
    for (const one of node.querySelectorAll("*")) {
      if (one.tagName === "CANVAS") return one;
      const inside = one.shadowRoot && find(one.shadowRoot);
      if (inside) return inside;
    }
  };
  const canvas = find(document.getElementById(id));
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  let light = 0, dark = 0, drawn = 0;
  for (let k = 0; k < data.length; k += 4) {
    if (data[k + 3] < 200) continue;
    drawn += 1;
    const bright = data[k] + data[k + 1] + data[k + 2];
    if (bright > 660) light += 1;
    if (bright < 120) dark += 1;
  }
  return { light, dark, drawn };
}"""
TOOLTIPS = """(id) => {
  const texts = [];
  const walk = (node) => {
    for (const one of node.querySelectorAll("*")) {
      if (one.className === "bk-Tooltip" || /tooltip/i.test(one.className)) {
        texts.push((one.shadowRoot ?? one).textContent);
      }
      if (one.shadowRoot) walk(one.shadowRoot);
    }
  };
  walk(document);
  return texts.join("\\n");
}"""
POINT = """(name) => {
  const place = document.getElementById("front").getBoundingClientRect();
  for (const view of Object.values(Bokeh.index.roots ?? Bokeh.index)) {
    for (const drawn of view.all_renderer_views ?? []) {
      const data = drawn.model.data_source?.data;
      const names = data?.get?.("name") ?? data?.name;
      const k = names ? [...names].findIndex((one) => one.includes(name)) : -1;
      if (k < 0 || !drawn.glyph.sx || drawn.model.glyph.type !== "Scatter") continue;
      if (view.el.getBoundingClientRect().top < place.top - 5) continue;
      const box = view.el.getBoundingClientRect();
      return { x: box.left + drawn.glyph.sx[k], y: box.top + drawn.glyph.sy[k] };
    }
  }
}"""
OPEN = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 800}


@pytest.fixture(scope="module")
def report(mini_run: Path, mini_test: tuple[np.ndarray, np.ndarray]) -> Report:
    return made_report(mini_run, *mini_test)


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return as_html(report)


@pytest.fixture(scope="module")
def browser() -> Generator[Any, None, None]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Debian's chromium is not installed")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Generator[Callable[..., Any], None, None]:
    """Opens a page, which must ask for no other file and say nothing on the console."""
    asked: list[str] = []
    said: list[str] = []
    contexts: list[Any] = []

    def open_(html: str, **options: Any) -> Any:
        path = tmp_path / "report.html"
        path.write_text(html, "utf-8")
        context = browser.new_context(**{"viewport": OPEN} | options)
        contexts.append(context)
        shown = context.new_page()
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("pageerror", lambda error: said.append(str(error)))
        shown.on(
            "console",
            lambda message: message.type in ("error", "warning") and said.append(message.text),
        )
        shown.goto(path.as_uri())
        if options.get("java_script_enabled", True):
            shown.wait_for_selector("html[data-drawn]", state="attached")
        return shown

    yield open_
    for context in contexts:
        context.close()
    # Reading pixels, which the tests do and the page does not, is warned of.
    assert [text for text in said if "willReadFrequently" not in text] == []
    assert {url for url in asked if not url.startswith("data:")} <= {
        (tmp_path / "report.html").as_uri()
    }


def column(shown: Any, heading: str) -> list[str]:
    """The cells below a heading, from above."""
    headings = shown.locator("#every-row thead th").all_inner_texts()
    place = next(k for k, told in enumerate(headings) if told.startswith(heading))
    rows = shown.locator("#every-row tbody tr:visible").all()
    return [row.locator("th, td").nth(place).inner_text() for row in rows]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [OPEN, PHONE], ids=["desktop", "phone"])
def test_every_figure_is_drawn_and_the_page_is_no_wider_than_its_window(
    opened: Callable[..., Any], html: str, scheme: str, size: dict[str, int]
) -> None:
    shown = opened(html, color_scheme=scheme, viewport=size)
    assert shown.evaluate("document.documentElement.scrollWidth") == size["width"]
    for key in ("front", "latency", "cold-start", "sizes", "throughput", "reliability"):
        assert shown.evaluate(PIXELS, key)["drawn"] > 300
    names = shown.evaluate(PIXELS, "latency")
    assert names["light" if scheme == "dark" else "dark"] > 300 > names[scheme]


def test_the_figures_follow_when_the_theme_changes(opened: Callable[..., Any], html: str) -> None:
    shown = opened(html, color_scheme="light")
    shown.emulate_media(color_scheme="dark")
    shown.wait_for_timeout(300)
    names = shown.evaluate(PIXELS, "latency")
    assert names["light"] > 300 > names["dark"]


def test_a_dark_page_is_printed_dark_on_white_with_all_that_was_folded(
    opened: Callable[..., Any], html: str
) -> None:
    shown = opened(html, color_scheme="dark")
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.evaluate(PIXELS, "latency")["light"] < 300
    assert shown.locator("details:not([open]):not([hidden])").count() == 0
    shown.evaluate("dispatchEvent(new Event('afterprint'))")
    assert shown.locator("details.numbers:not([open])").count() > 4
    assert shown.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") >= 3


def test_the_table_sorts_by_click_and_by_keyboard_with_what_is_missing_last(
    opened: Callable[..., Any], html: str
) -> None:
    shown = opened(html)
    heading = shown.locator("#every-row thead th", has_text=re.compile("^p50 us"))
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    p50 = [float(told.replace(",", "")) for told in column(shown, "p50 us")[:-1]]
    assert p50 == sorted(p50) and p50[0] == 4 and column(shown, "p50 us")[-1] == "-"
    heading.locator("button").focus()
    shown.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    p50 = [float(told.replace(",", "")) for told in column(shown, "p50 us")[:-1]]
    assert p50 == sorted(p50, reverse=True) and column(shown, "p50 us")[-1] == "-"
    shown.locator("#every-row thead button", has_text="engine").click()
    engines = column(shown, "engine")
    assert engines == sorted(engines) and heading.get_attribute("aria-sort") is None


def test_the_filter_keeps_the_rows_with_every_word_and_says_how_many(
    opened: Callable[..., Any], report: Report, html: str
) -> None:
    shown = opened(html)
    shown.get_by_label("Show rows with").fill("INT8 litert")
    assert column(shown, "artifact") == ["mlp-int8.tflite"]
    assert shown.get_by_role("status").inner_text() == f"1 of {len(report.rows)} rows"
    shown.get_by_label("Show rows with").fill("")
    assert len(column(shown, "artifact")) == len(report.rows)


def test_runs_are_filtered_by_name(opened: Callable[..., Any], report: Report) -> None:
    shown = opened(as_html(of_two_runs(report)))
    shown.get_by_label("of the run").select_option("dscnn")
    assert set(column(shown, "run")) == {"dscnn"}
    assert len(column(shown, "run")) == len(report.rows)


def test_a_tooltip_opens_over_a_point_with_its_numbers(
    opened: Callable[..., Any], html: str
) -> None:
    shown = opened(html)
    shown.locator("#front").scroll_into_view_if_needed()
    place = shown.evaluate(POINT, "mlp-int8.tflite on reference")
    shown.mouse.move(place["x"] - 30, place["y"] - 30)
    shown.mouse.move(place["x"], place["y"], steps=4)
    shown.wait_for_timeout(300)
    told = shown.evaluate(TOOLTIPS, "front")
    assert "mlp-int8.tflite on reference" in told and "26.0" in told


def test_choosing_an_artifact_changes_matrices_classes_flips_and_the_curve(
    opened: Callable[..., Any], html: str
) -> None:
    shown = opened(html)
    curve = "() => JSON.stringify([...Bokeh.documents.map((d) => d.get_model_by_name("
    curve += "'reliability-chosen')).filter(Boolean)[0].data.y ?? []])"

    def seen() -> list[str]:
        blocks = shown.locator(".choice:visible")
        assert blocks.count() == 4
        return [blocks.nth(k).inner_text() for k in range(4)]

    before, drawn = seen(), shown.evaluate(curve)
    assert "mlp-int8.tflite" in shown.locator("#chooser option:checked").inner_text()
    shown.locator("#chooser").select_option(label="mlp-float32.tflite on litert")
    after = seen()
    assert all(a != b for a, b in zip(before, after, strict=True))
    assert "mlp-float32.tflite on litert" in after[0]
    assert shown.evaluate(curve) != drawn


def test_without_its_script_the_page_has_every_table(
    opened: Callable[..., Any], report: Report, html: str
) -> None:
    shown = opened(html, java_script_enabled=False)
    assert shown.locator("#every-row tbody tr").count() == len(report.rows)
    assert shown.locator("#every-row button, #chooser:visible, #filter:visible").count() == 0
    folded = shown.locator("details.choice > summary:visible")
    assert folded.count() >= 8
    assert "need JavaScript" in shown.locator("noscript").inner_text()


def test_every_control_has_a_name_and_the_keyboard_reaches_them(
    opened: Callable[..., Any], html: str
) -> None:
    shown = opened(html)
    unnamed = """[...document.querySelectorAll("input, select, button, nav, [role=region]")]
      .filter((e) => !(e.labels?.length || e.ariaLabel || e.textContent.trim())).length"""
    assert shown.evaluate(unnamed) == 0
    assert shown.locator("main, header, nav").count() == 3
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.textContent") == "To the content"
    assert shown.locator("th:not([scope])").count() == 0


def test_hostile_text_runs_nothing_and_is_shown_as_it_is(
    opened: Callable[..., Any], report: Report
) -> None:
    shown = opened(as_html(hostile(report)))
    shown.on("dialog", lambda dialog: pytest.fail("a script of a name ran"))
    assert HOSTILE in shown.locator("h1").inner_text()
    shown.locator("#front").scroll_into_view_if_needed()
    place = shown.evaluate(POINT, "mlp-int8.tflite on reference")
    shown.mouse.move(place["x"] - 30, place["y"] - 30)
    shown.mouse.move(place["x"], place["y"], steps=4)
    shown.wait_for_timeout(300)
    assert "<script>alert(1)</script>" in shown.evaluate(TOOLTIPS, "front")
    assert shown.locator("img[src=x]").count() == 0


def test_a_report_of_failures_alone_is_shown(opened: Callable[..., Any], report: Report) -> None:
    rows = tuple(without_numbers(row, reason="it broke") for row in report.rows)
    bare = replace(report, rows=rows, answer="Nothing was measured.", recommended=(), pictures={})
    shown = opened(as_html(bare))
    assert shown.locator("#every-row tbody tr").count() == len(report.rows)


def test_the_table_below_the_curves_is_that_of_the_chosen_artifact(
    opened: Callable[..., Any], html: str
) -> None:
    shown = opened(html)
    shown.locator("#chooser").select_option(label="mlp-float32.tflite on litert")
    link = shown.locator("#reliability ~ figcaption a")
    link.click()
    shown.wait_for_timeout(200)
    assert shown.locator(link.get_attribute("href")).is_visible()


def test_the_rows_are_those_of_the_run_that_the_browser_remembers(
    opened: Callable[..., Any], report: Report
) -> None:
    shown = opened(as_html(of_two_runs(report)))
    shown.get_by_label("of the run").select_option("dscnn")
    shown.goto("about:blank")
    shown.go_back()
    shown.wait_for_selector("html[data-drawn]", state="attached")
    chosen = shown.get_by_label("of the run").input_value()
    assert set(column(shown, "run")) == ({chosen} if chosen else {"mlp", "dscnn"})


def test_no_table_is_wider_than_a_sheet_of_paper(opened: Callable[..., Any], html: str) -> None:
    shown = opened(html, viewport={"width": 703, "height": 1000})  # A4 within its margins
    shown.emulate_media(media="print")
    shown.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert shown.evaluate("document.documentElement.scrollWidth") == 703


@pytest.mark.parametrize("width", [1280, 700, 360])
def test_a_run_of_the_longest_name_leaves_room_for_the_numbers(
    opened: Callable[..., Any], report: Report, width: int
) -> None:
    name = "a-long-" * 9 + "x"  # 64 characters, the most that a run's name may have
    two = of_two_runs(report)
    rows = [replace(r, run=name, artifact=f"{name}-int8-x86_64-linux.so") for r in two.rows[-4:]]
    runs = (two.runs[0], replace(two.runs[1], name=name))
    long = replace(two, runs=runs, rows=(*two.rows[:-4], *rows))
    shown = opened(as_html(long), viewport={"width": width, "height": 800})
    assert shown.evaluate("document.documentElement.scrollWidth") == width
    names = shown.locator("#every-row tbody th").first.bounding_box()
    assert names["width"] < width / 2
