"""What planted faults (make mutants) got past the other tests here."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgestitch_runtime import Classifier, EdgestitchError
from edgestitch_runtime.agreement import Z95, paired_interval
from edgestitch_runtime.card import append_to_tflite, model_bytes, read_artifact


class _OneAtATime:
    """A session that takes its time over a batch and counts how many are in it at once."""

    def __init__(self, session: Any) -> None:
        self._session, self._inside, self.most = session, 0, 0

    def run(self, batch: np.ndarray) -> np.ndarray:
        self._inside += 1
        self.most = max(self.most, self._inside)
        time.sleep(0.02)
        self._inside -= 1
        return self._session.run(batch)


def test_batches_of_several_threads_do_not_meet_in_the_one_interpreter(
    mini_run: Path, mini_test: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = Classifier.open(mini_run / "export" / "mlp-int8.tflite")
    parts = [mini_test[0][k * 70 : (k + 1) * 70] for k in range(4)]
    expected = [classifier.scores(part) for part in parts]
    session = _OneAtATime(classifier._session)
    monkeypatch.setattr(classifier, "_session", session)
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda k=k: found.update({k: classifier.scores(parts[k])}))
        for k in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.most == 1
    for k in range(4):
        assert found[k].tobytes() == expected[k].tobytes()


@pytest.mark.parametrize("count", [9, 11])
def test_fewer_or_more_labels_than_outputs_are_refused(
    count: int, mini_run: Path, tmp_path: Path
) -> None:
    whole = read_artifact(mini_run / "export" / "mlp-int8.tflite")
    assert whole.card is not None
    card = whole.card | {"labels": [str(k) for k in range(count)]}
    path = tmp_path / "model.tflite"
    path.write_bytes(append_to_tflite(model_bytes("tflite", whole.content), card, whole.golden))
    with pytest.raises(EdgestitchError, match=f"10 outputs and {count} labels"):
        Classifier.open(path)


def test_a_positive_correlation_is_corrected_for_continuity_as_method_10_says() -> None:
    """Newcombe 1998, method 10, written out: a = 80, b = 5, c = 3, d = 12 of 100 images."""
    a, b, c, d = 80, 5, 3, 12
    n = a + b + c + d
    phi = (a * d - b * c - n / 2) / math.sqrt((a + b) * (c + d) * (a + c) * (b + d))

    def limits(correct: int) -> tuple[float, float]:
        """Wilson's, as the roots of (1 + z^2/n) x^2 - (2 p + z^2/n) x + p^2."""
        p, square = correct / n, Z95**2 / n
        low, high = sorted(np.roots([1 + square, -(2 * p + square), p * p]).real)
        return float(low), float(high)

    (low_1, high_1), (low_2, high_2) = limits(a + b), limits(a + c)
    p_1, p_2 = (a + b) / n, (a + c) / n
    down = (p_1 - low_1) ** 2 - 2 * phi * (p_1 - low_1) * (high_2 - p_2) + (high_2 - p_2) ** 2
    up = (high_1 - p_1) ** 2 - 2 * phi * (high_1 - p_1) * (p_2 - low_2) + (p_2 - low_2) ** 2
    difference = (b - c) / n
    assert paired_interval(both=a, lost=b, won=c, n=n, z=Z95) == pytest.approx(
        (difference - math.sqrt(down), difference + math.sqrt(up))
    )
