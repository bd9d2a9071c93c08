"""What the documents name exists, and what exists is named."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from dashboard.cli import app
from tests.conftest import REAL_DATA_VARIABLE, ROOT
from workspace.settings import ENV_PREFIX, Settings

CODE = re.compile(r"```.*?\n(.*?)```|`((?:[^`\n]|\n(?!\n))+)`", re.DOTALL)
CALL = re.compile(r"(?:^|[\s/(])recommendr((?:[ \t]+\S+)*)", re.MULTILINE)
VARIABLE = re.compile(rf"{ENV_PREFIX}[A-Z][A-Z_]*[A-Z]")
TARGET = re.compile(r"(?:^|\s)make ([a-z][a-z-]*)", re.MULTILINE)
SETTINGS = {f"{ENV_PREFIX}{field.upper()}" for field in Settings.model_fields}


def documents() -> dict[str, str]:
    """Text of every document a reader of the project meets."""
    paths = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths if path.is_file()}


def code_of(text: str) -> str:
    """Everything a document sets as code, a piece a line."""
    return "\n".join(fenced or inline.replace("\n", " ") for fenced, inline in CODE.findall(text))


def command_paths(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Names of every command that does something."""
    children = getattr(command, "commands", {})
    if not children:
        yield path
    for name, child in children.items():
        yield from command_paths(child, (*path, name))


def options_of(command: Any) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def unknown_words(root: Any, words: list[str]) -> list[str]:
    """Commands and options of one documented call that do not exist."""
    command, unknown = root, []
    options = options_of(root) | {"--help"}
    for word in (word.strip("[]`,;.:()…") for word in words):
        if word in {"|", "&&", "#", "→", ">"}:
            break
        children = getattr(command, "commands", {})
        if word.startswith("--"):
            if word.split("=")[0] not in options:
                unknown.append(word)
        elif children and re.fullmatch(r"[a-z][a-z-]*", word):
            if word not in children:
                return [*unknown, word]
            command = children[word]
            options |= options_of(command)
    return unknown


@pytest.fixture(scope="module")
def root_command() -> Any:
    return typer.main.get_command(app)


def test_documents_include_the_readme() -> None:
    assert "README.md" in documents()


def test_named_commands_and_options_exist(root_command: Any) -> None:
    wrong = [
        f"{name}: recommendr{call} → {unknown}"
        for name, text in documents().items()
        for call in CALL.findall(code_of(text))
        if (unknown := unknown_words(root_command, call.split()))
    ]
    assert wrong == []


def test_existing_commands_are_named(root_command: Any) -> None:
    code = "\n".join(code_of(text) for text in documents().values())
    missing = [
        command
        for path in command_paths(root_command)
        if not re.search(rf"\b{re.escape(command := ' '.join(('recommendr', *path)))}\b(?!-)", code)
    ]
    assert missing == []


def test_named_settings_exist() -> None:
    wrong = {
        (name, variable)
        for name, text in documents().items()
        for variable in VARIABLE.findall(text)
        if variable not in SETTINGS | {REAL_DATA_VARIABLE}
    }
    assert wrong == set()


def test_existing_settings_are_named() -> None:
    text = "\n".join(documents().values())
    assert SETTINGS - set(VARIABLE.findall(text)) == set()


def test_settings_named_in_the_code_exist() -> None:
    wrong = {
        (path.name, variable)
        for package in ("workspace", "recommender", "dashboard", "pages", "data", "benchmarks")
        for path in (ROOT / package).rglob("*.py")
        for variable in VARIABLE.findall(path.read_text("utf-8"))
        if variable not in SETTINGS | {REAL_DATA_VARIABLE}
    }
    assert wrong == set()


def test_named_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = {target for text in documents().values() for target in TARGET.findall(code_of(text))}
    assert named <= targets
    assert {"run", "test"} <= named


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (["nonsense"], ["nonsense"]),
        (["recommend", "7", "--no-such-option"], ["--no-such-option"]),
        (["recommend", "7", "-k", "5", "--json"], []),
        (["index", "build", "--strategy", "full"], []),
        (["index", "burn"], ["burn"]),
    ],
)
def test_unknown_words_finds_what_does_not_exist(root_command: Any, call: list[str], expected: list[str]) -> None:
    assert unknown_words(root_command, call) == expected


def test_documents_never_link_to_missing_files() -> None:
    missing = [
        f"{name}: {target}"
        for name, text in documents().items()
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", text)
        if not (ROOT / Path(name).parent / target).exists()
    ]
    assert missing == []
