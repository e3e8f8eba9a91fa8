"""A folder that takes another's place, interrupted at every step."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgestitch_train.new_folder import new_folder


def content(parent: Path) -> dict[str, str]:
    return {str(p.relative_to(parent)): p.read_text() for p in parent.rglob("*") if p.is_file()}


@pytest.mark.parametrize("late", [False, True], ids=["before it is done", "after it is done"])
@pytest.mark.parametrize("rename", [1, 2])
def test_ctrl_c_at_a_rename_leaves_the_old_run_or_the_new_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rename: int, late: bool
) -> None:
    target = tmp_path / "run"
    target.mkdir()
    (target / "run.json").write_text("old")
    (target / "export").mkdir()
    (target / "export" / "a").write_text("old")
    real, calls = Path.rename, 0

    def interrupted(self: Path, other: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == rename and not late:
            raise KeyboardInterrupt
        moved = real(self, other)
        if calls == rename:
            raise KeyboardInterrupt
        return moved

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), new_folder(target, replace=True) as folder:
        (folder / "run.json").write_text("new")
    old, new = {"run/run.json": "old", "run/export/a": "old"}, {"run/run.json": "new"}
    assert content(tmp_path) == (new if rename == 2 and late else old)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
