"""Settings: precedence and named errors."""

from pathlib import Path

import pytest

from workspace.errors import InvalidValueError, SchemaError
from workspace.settings import load_settings


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_settings_default_home_is_var_in_the_current_folder(empty_folder: Path) -> None:
    settings = load_settings()
    assert settings.home == empty_folder / "var"
    assert settings.port == 8501
    assert settings.database_url is None


def test_settings_toml_beats_default_and_environment_beats_toml(
    empty_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_folder / "recommendr.toml").write_text("port = 9001\nencoder_batch = 8\n")
    monkeypatch.setenv("RECOMMENDR_PORT", "9002")
    settings = load_settings()
    assert (settings.port, settings.encoder_batch, settings.shadow_rate) == (9002, 8, 0.01)


def test_settings_argument_beats_environment(empty_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDR_HOME", "/elsewhere")
    assert load_settings().home == Path("/elsewhere")
    assert load_settings(Path("here")).home == empty_folder / "here"


def test_settings_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDR_PORT", "")
    assert load_settings().port == 8501


def test_settings_expand_the_users_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    assert load_settings(Path("~/films")).home == Path("/somebody/films")


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("RECOMMENDR_PORT", "0", "RECOMMENDR_PORT == '0', input should be greater than or equal to 1"),
        ("RECOMMENDR_PORT", "x", "RECOMMENDR_PORT == 'x'"),
        ("RECOMMENDR_SHADOW_RATE", "1.5", "less than or equal to 1"),
        ("RECOMMENDR_SHADOW_RATE", "nan", "RECOMMENDR_SHADOW_RATE == 'nan'"),
        ("RECOMMENDR_ENCODER_DTYPE", "int4", "'float32', 'bfloat16' or 'auto'"),
        ("RECOMMENDR_LOG_LEVEL", "LOUD", "set RECOMMENDR_LOG_LEVEL"),
    ],
)
def test_settings_bad_value_names_variable_value_and_limit(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidValueError) as caught:
        load_settings()
    assert said in str(caught.value)


def test_settings_bad_toml_value_names_the_file(empty_folder: Path) -> None:
    (empty_folder / "recommendr.toml").write_text("database_url = 5\n")
    with pytest.raises(InvalidValueError, match=r"or database_url in recommendr\.toml") as caught:
        load_settings()
    assert "5" not in str(caught.value)


@pytest.mark.parametrize("content", [b"port = = 1", b"port = \xff"])
def test_settings_broken_toml_is_named(empty_folder: Path, content: bytes) -> None:
    (empty_folder / "recommendr.toml").write_bytes(content)
    with pytest.raises(SchemaError, match="must be readable TOML"):
        load_settings()


def test_settings_unknown_name_lists_the_known(empty_folder: Path) -> None:
    (empty_folder / "recommendr.toml").write_text("prot = 1\n")
    with pytest.raises(SchemaError, match=r"'prot', which is no setting.*port"):
        load_settings()


def test_settings_never_show_the_database_url() -> None:
    assert "database_url" not in repr(load_settings())
