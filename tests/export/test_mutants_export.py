"""What planted faults (make mutants) got past the other tests here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgestitch_runtime import EdgestitchError
from edgestitch_runtime.card import Artifact, model_bytes, read_artifact


@pytest.mark.parametrize(
    ("float_tensor", "named"),
    [("FLOAT32", "FLOAT32"), ("FLOAT16", "FLOAT16"), ("BFLOAT16", "BFLOAT16")],
)
def test_an_int8_tflite_with_a_float_tensor_breaks_the_contract(
    float_tensor: str, named: str, mini_run: Path
) -> None:
    from edgestitch_export.tflite_format import check, read_back

    whole = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    facts = read_back(model_bytes("tflite", whole.content))
    check(facts, "int8")
    facts["tensor_types"].append(float_tensor)
    with pytest.raises(EdgestitchError, match=f"holds {named} tensors") as refusal:
        check(facts, "int8")
    assert refusal.value.exit_code == 1


def test_uint8_probabilities_have_both_ends_of_0_to_1(mini_run: Path) -> None:
    card = read_artifact(mini_run / "export" / "mlp-int8.onnx").card
    assert card is not None
    assert (card["output"]["dtype"], card["output"]["zero_point"]) == ("uint8", 0)
    assert card["output"]["scale"] == float(np.float32(1 / 255))


def test_an_artifact_that_does_not_give_its_card_back_is_not_written(
    own_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgestitch_export import export, exporting

    def damaged(path: Path) -> Artifact:
        return replace(read_artifact(path), card={})

    monkeypatch.setattr(exporting, "read_artifact", damaged)
    with pytest.raises(EdgestitchError, match="does not give its card back"):
        export(own_run, format="tflite", precision="float32", name="new")
    assert not [p for p in (own_run / "export").iterdir() if "new" in p.name]
