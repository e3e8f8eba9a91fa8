"""What holds the parts apart: imports, names, sizes, versions; read from the source, or tried."""

from __future__ import annotations

import ast
import builtins
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import tomllib

ROOT = Path(__file__).parent.parent
MEMBERS = ("train", "export", "runtime", "benchmarks")
PACKAGES = {member: f"edgestitch_{member}" for member in MEMBERS}
HEAVY = (
    "numpy", "tensorflow", "keras", "matplotlib", "PIL", "onnx", "onnxruntime", "tf2onnx",
    "ai_edge_litert", "tflite_runtime", "jinja2", "psutil",
)  # fmt: skip
# The only names outside the standard library and numpy that the runtime imports, and where.
RUNTIME_EXTRAS = {("picture.py", "PIL"), ("onnx_facts.py", "onnx")}
# Imports by a name that is computed: an engine, a module of the runtime itself, a command.
RUNTIME_BY_NAME = {
    ("engines.py", "f'{__package__}.{module_name}'"),
    ("engines.py", "engine.module"),
    ("cli.py", "commands[name].value"),
}
ENGINE_MODULES = {
    "ai_edge_litert.interpreter",
    "tflite_runtime.interpreter",
    "onnxruntime",
    "numpy",  # the reference engine's
    "ctypes",  # the native engine's
}
# Found when it is there: a report has a row of the float model only beside TensorFlow, and
# `inspect` reads an ONNX file only beside onnx.
OPTIONAL = {"benchmarks": {"tensorflow", "keras"}, "runtime": {"onnx"}}
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "manager", "base", "core", "common", "misc"}
SELF = "tests/test_boundaries.py"
MODULES = sorted(
    path
    for member, package in PACKAGES.items()
    for path in (ROOT / member / package).rglob("*.py")
    if "__pycache__" not in path.parts
)
CLI_MODULES = [path for path in MODULES if path.stem.startswith("cli")]


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def committed_files() -> list[str]:
    """What git keeps, or would keep: tracked files and those that are not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return sorted(n for n in listed.stdout.decode().split("\0") if n and (ROOT / n).is_file())


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The first part of each absolute import's name, and whether it stands in a function.

    An import that only a type checker follows (under `if TYPE_CHECKING`) is not one.
    """

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            yield from ((alias.name.partition(".")[0], inside) for alias in node.names)
        if isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0], inside
        inside = inside or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for child in ast.iter_child_nodes(node):
            yield from walk(child, inside)

    yield from walk(tree_of(path), False)


def project_of(folder: Path) -> dict:
    return tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def run_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def test_every_package_was_found() -> None:
    found = {path.parent.name for path in MODULES}
    assert found >= set(PACKAGES.values())
    assert len(CLI_MODULES) >= 6


@pytest.mark.parametrize("member", MEMBERS)
def test_a_part_imports_the_runtime_and_no_other_part(member: str) -> None:
    allowed = {PACKAGES[member], "edgestitch_runtime"}
    for path in MODULES:
        if path.is_relative_to(ROOT / member):
            ours = {name for name, _ in imports(path) if name.startswith("edgestitch")}
            assert ours <= allowed, relative(path)


def test_the_runtime_imports_the_standard_library_and_numpy_and_names_what_else() -> None:
    found = set()
    for path in (ROOT / "runtime").rglob("edgestitch_runtime/*.py"):
        for name, in_function in imports(path):
            if name in sys.stdlib_module_names or name in ("numpy", "edgestitch_runtime"):
                continue
            assert in_function, f"{relative(path)} imports {name} at module level"
            found.add((path.name, name))
    assert found == RUNTIME_EXTRAS


def test_the_runtime_imports_by_name_only_an_engine_a_command_or_itself() -> None:
    found = set()
    for path in (ROOT / "runtime").rglob("edgestitch_runtime/*.py"):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("import_module", "__import__", "spec_from_file_location", "run_module")
            ):
                found.add((path.name, ast.unparse(node.args[0])))
    assert found == RUNTIME_BY_NAME
    from edgestitch_runtime.engines import ENGINES

    assert {engine.module for engine in ENGINES.values()} == ENGINE_MODULES


@pytest.mark.parametrize("member", MEMBERS)
def test_what_a_part_imports_its_distribution_declares(member: str) -> None:
    """An editable install has everybody's dependencies at hand, and hides a missing one."""
    project = project_of(ROOT / member)
    extras = [one for group in project.get("optional-dependencies", {}).values() for one in group]
    declared = {
        re.split(r"[\[<>=!~; ]", one)[0].lower().replace("_", "-")
        for one in [*project["dependencies"], *extras]
    }
    # What an extra of a sibling brings is declared by naming the extra.
    runtime_extras = project_of(ROOT / "runtime")["optional-dependencies"]
    for one in project["dependencies"]:
        named = re.match(r"edgestitch-runtime\[([^]]+)]", one)
        for extra in named[1].split(",") if named else ():
            declared |= {re.split(r"[<>=!~; ]", d)[0] for d in runtime_extras[extra]}
    distributions = packages_distributions()
    missing = set()
    for path in MODULES:
        if not path.is_relative_to(ROOT / member):
            continue
        for name, _ in imports(path):
            if name in sys.stdlib_module_names or name in PACKAGES.values():
                continue
            brings = {d.lower().replace("_", "-") for d in distributions.get(name, [name])}
            if not brings & declared and name not in OPTIONAL.get(member, ()):
                missing.add((relative(path), name))
    assert not missing


def in_the_shell(path: Path) -> str:
    package = path.parent.name
    return f"{package}.{path.stem}"


@pytest.mark.parametrize("path", CLI_MODULES, ids=in_the_shell)
def test_a_command_module_and_its_flags_need_nothing_heavy(path: Path) -> None:
    loaded = run_python(
        "import argparse, importlib, sys\n"
        f"module = importlib.import_module({in_the_shell(path)!r})\n"
        "if hasattr(module, 'add_arguments'):\n"
        "    module.add_arguments(argparse.ArgumentParser())\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert loaded == "[]"


def test_every_command_has_a_docstring_and_the_two_functions() -> None:
    for member in MEMBERS:
        project = project_of(ROOT / member)
        for command, target in project["entry-points"]["edgestitch.commands"].items():
            package, _, module = target.rpartition(".")
            tree = tree_of(ROOT / member / package / f"{module}.py")
            functions = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
            assert {"add_arguments", "run"} <= functions, command
            first = (ast.get_docstring(tree) or "").partition("\n")[0]
            assert 20 < len(first) <= 90, command
            assert first.endswith("."), command


@pytest.mark.parametrize("package", sorted(PACKAGES.values()))
def test_importing_a_package_imports_nothing_heavy(package: str) -> None:
    loaded = run_python(f"import sys, {package}\nprint([n for n in {HEAVY!r} if n in sys.modules])")
    assert loaded == "[]"


def test_no_module_is_named_like_a_builtin_or_the_standard_library_or_says_nothing() -> None:
    taken = set(dir(builtins)) | sys.stdlib_module_names | EMPTY_NAMES
    names = {path.stem for path in MODULES} - {"__init__", "__main__"}
    folders = {path.parent.name for path in MODULES}
    assert not (names | folders) & taken


def test_a_module_over_500_lines_is_refused_and_one_over_300_says_why() -> None:
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        assert lines <= 500, f"{relative(path)} has {lines} lines"
        why = ast.get_docstring(ast.parse(text)) or ""
        assert lines <= 300 or re.search(r"\b300 lines\b", why), (
            f"{relative(path)} has {lines} lines: its docstring must say why it has over 300 lines"
        )


def test_test_files_have_at_most_500_lines() -> None:
    for path in (ROOT / "tests").rglob("*.py"):
        assert path.read_text(encoding="utf-8").count("\n") <= 500, relative(path)


def test_the_five_distributions_have_one_version_and_pin_each_other_to_it() -> None:
    projects = [project_of(ROOT), *(project_of(ROOT / member) for member in MEMBERS)]
    names = {project["name"] for project in projects}
    assert names == {"edgestitch", *(f"edgestitch-{member}" for member in MEMBERS)}
    version = projects[0]["version"]
    for project in projects:
        assert project["version"] == version, project["name"]
        for one in project["dependencies"]:
            if one.startswith("edgestitch"):
                assert one.endswith(f"=={version}"), f"{project['name']} needs {one}"
    meta = {re.split(r"[\[=]", one)[0] for one in projects[0]["dependencies"]}
    assert meta == names - {"edgestitch"}


def test_the_extras_of_the_runtime_are_named_after_the_engines() -> None:
    from edgestitch_runtime.engines import ENGINES

    extras = project_of(ROOT / "runtime")["optional-dependencies"]
    assert set(extras) == {*ENGINES, "image"}
    for engine in ENGINES.values():
        brought = [one for one in extras[engine.name] if one.startswith(engine.distribution)]
        assert brought or engine.distribution == "edgestitch-runtime"


def test_what_is_asked_of_python_is_what_the_design_says() -> None:
    asked = {m: project_of(ROOT / m)["requires-python"] for m in MEMBERS}
    toolchain = dict.fromkeys(("train", "export", "benchmarks"), ">=3.11")
    assert asked == toolchain | {"runtime": ">=3.10"}
    assert project_of(ROOT)["requires-python"] == ">=3.11"


def test_no_committed_file_names_a_place_of_one_machine_or_a_registry() -> None:
    machine = r"(?<![\w./$}-])/(?:work|tmp|root|home)(?:/|\b)"
    registry = (
        r"file:/{2}|\bpypi\.org|\bpythonhosted\.org|\bpypi\.python\.org|--(?:extra-)?index-url"
    )
    found = []
    for name in committed_files():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture, gzipped data
        if name == SELF:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            if re.search(f"{machine}|{registry}", line):
                found.append(f"{name}:{number}: {line.strip()[:80]}")
    assert not found


def test_the_lock_files_have_hashes_for_every_version_and_no_address() -> None:
    for name in ("requirements.lock", "requirements-tflite-runtime.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.split(r"\n(?=[a-z])", text)
        assert len(blocks) >= 2, name
        for block in blocks:
            assert re.match(r"[a-z0-9.-]+(?:\[[a-z,]+])?==\S+", block), block[:60]
            assert "--hash=sha256:" in block, block[:60]
        assert "://" not in text


def test_help_starts_within_four_times_the_interpreter_itself() -> None:
    """Medians of alternating starts; a busy machine gets two more tries."""
    nothing = [sys.executable, "-c", "pass"]
    overview = [str(Path(sys.executable).with_name("edgestitch")), "--help"]

    def seconds(command: list[str]) -> float:
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        return time.perf_counter() - started

    ratios = []
    for _ in range(3):
        pairs = [(seconds(nothing), seconds(overview)) for _ in range(9)]
        bare, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios.append(whole / bare)
        if ratios[-1] <= 4:
            return
    pytest.fail(f"edgestitch --help took {ratios} times `python -c pass`, at most 4 is wanted")
