from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import make_archive

from rag import ArchiveError, Calibration, fit_calibration
from rag.abstain import FILE, load_calibration, save_calibration
from rag.models import SentenceTransformerEmbedder


def test_the_probability_is_a_logistic_function_of_the_signals() -> None:
    calibration = Calibration({"relevance": 2.0, "missing": -1.0}, -0.5, {}, 0)
    # 2 * 0.5 - 1 * 0.5 - 0.5 = 0
    assert calibration.probability({"relevance": 0.5, "missing": 0.5}) == pytest.approx(0.5)
    # 2 * 1 - 0.5 = 1.5; 1 / (1 + e^-1.5) = 0.8176; an unknown signal counts nothing
    assert calibration.probability({"relevance": 1.0, "x": 9.0}) == pytest.approx(0.8176, abs=1e-4)


def test_the_threshold_is_read_off_the_risk_of_the_fitted_questions() -> None:
    right = [({"x": 1.0 + n / 100}, True) for n in range(18)]
    wrong = [({"x": 0.9}, False), ({"x": 0.8}, False), ({"x": 0.1}, False), ({"x": 0.0}, False)]
    calibration = fit_calibration([*right, *wrong])
    answered = [s for s, _ in (*right, *wrong) if calibration.probability(s)
                >= calibration.threshold(0.1)]  # fmt: skip
    # 18 right and 2 wrong are 10 % wrong; a third wrong one would make it 3 of 21
    assert len(answered) == 20
    assert calibration.threshold(0.01) > calibration.threshold(0.1)
    assert calibration.threshold(1) == 0.0
    assert calibration.questions == 22


def test_no_error_rate_is_promised_that_was_not_reached() -> None:
    rows = [({"x": float(n % 7)}, n % 2 == 0) for n in range(40)]
    assert fit_calibration(rows).threshold(0.01) == 1.0


def test_an_archive_keeps_its_own_calibration(
    tmp_path: Path, embedder: SentenceTransformerEmbedder
) -> None:
    own = Calibration({"relevance": 1.0}, 0.25, {"0.10": 0.5}, 40)
    with make_archive(tmp_path / "a", embedder) as archive:
        shipped = archive.digest
        archive.save_calibration(own)
        assert archive.digest != shipped
    assert load_calibration(tmp_path / "a") == own


def test_a_broken_calibration_is_named(tmp_path: Path) -> None:
    save_calibration(Calibration({}, 0.0, {}, 0), tmp_path)
    (tmp_path / FILE).write_text(json.dumps({"bias": 1}))
    with pytest.raises(ArchiveError, match=r"calibration\.json is not a calibration; delete it"):
        load_calibration(tmp_path)


def test_a_calibration_of_signals_that_are_no_more_is_named(tmp_path: Path) -> None:
    save_calibration(Calibration({"relevance": 1.0, "luck": 2.0}, 0.0, {}, 0), tmp_path)
    with pytest.raises(ArchiveError, match=r"calibration\.json weighs luck, which this version"):
        load_calibration(tmp_path)


def test_the_shipped_calibration_loads(tmp_path: Path) -> None:
    shipped = load_calibration(tmp_path)
    assert shipped.questions > 100
    assert 0 < shipped.threshold(0.1) <= 1
