from __future__ import annotations

from pathlib import Path

import pytest

from rag import Settings, SettingsError, load_settings


def test_defaults_then_file_then_flags(tmp_path: Path) -> None:
    file = tmp_path / "newsrag.toml"
    file.write_text('model = "http://127.0.0.1:9/v1"\nrecency_days = 7\n')
    settings = load_settings(file, model_name="mine", model=None)
    assert settings == Settings(model="http://127.0.0.1:9/v1", recency_days=7.0, model_name="mine")
    assert settings.is_endpoint
    assert load_settings(file, model="local").model == "local"


def test_the_file_in_the_present_folder_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings() == Settings()
    Path("newsrag.toml").write_text("recency_weight = 0.0\n")
    assert load_settings().recency_weight == 0.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("modle = 'x'", "unknown setting modle; known are: accepted_error, allow_private_urls"),
        ("model = 3", "setting model must be a str, not 3"),
        ("passage_characters = 1.5", "setting passage_characters must be a int, not 1.5"),
        ("passage_characters = true", "setting passage_characters must be a int, not True"),
        ("passage_characters = 3", "setting passage_characters is 3, but must be 200 to 4000"),
        ("model = ''", "setting model is empty"),
        ("reranker = ''", "setting reranker is empty"),
        ("accepted_error = 0", "setting accepted_error is 0.0, but must be 0.01 to 1"),
        ("model = ", "cannot be read as settings"),
    ],
)
def test_a_bad_file_gives_one_sentence(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "newsrag.toml"
    file.write_text(content)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert message in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nothing\.toml cannot be read"):
        load_settings(tmp_path / "nothing.toml")


def test_the_digest_follows_the_values() -> None:
    assert Settings().digest == Settings().digest
    assert Settings().digest != Settings(recency_days=31).digest
