"""What commands print: one JSON document, errors as one sentence, nothing that steers a terminal."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from rich.text import Text

from dashboard.cli.output import answer, note, print_error, print_json, progress_bars
from workspace.errors import UnknownError
from workspace.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Amélie — 天使", "Amélie — 天使"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("bell\x07 c1\x9b", "bell\\x07 c1\\x9b"),
        ("right\u202eto-left\u2066\u200f", "right\\u202eto-left\\u2066\\u200f"),
        ("half\udc9d", "half\\udc9d"),
        ("two\nlines\ttab\r", "two\nlines\\ttab\\r"),
    ],
)
def test_printable_shows_what_steers_a_terminal_as_escapes(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_print_json_writes_plain_types_and_null_for_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(
        {
            "nan": float("nan"),
            "np": np.float32(0.5),
            "day": dt.date(2020, 1, 2),
            "path": Path("a/b"),
            "list": (1, np.int64(2)),
            "infinite": np.float64("inf"),
            "flag": True,
            "title": "Amélie",
        }
    )
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "nan": None,
        "np": 0.5,
        "day": "2020-01-02",
        "path": "a/b",
        "list": [1, 2],
        "infinite": None,
        "flag": True,
        "title": "Amélie",
    }


def test_print_json_escapes_what_the_stream_cannot_hold(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"user_id": "\udcff"})
    assert json.loads(capsys.readouterr().out) == {"user_id": "\udcff"}


def test_answer_draws_or_prints_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    answer({"a": 1}, lambda document: Text(f"a is {document['a']}"), as_json=False)
    answer({"a": 1}, lambda document: Text(f"a is {document['a']}"), as_json=True)
    assert capsys.readouterr().out == 'a is 1\n{\n  "a": 1\n}\n'


@pytest.mark.parametrize("as_json", [False, True])
def test_print_error_says_what_limit_and_cure_on_stderr(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    print_error(UnknownError("user 'x\x1b'", "must be known", "try 'y'"), as_json=as_json)
    captured = capsys.readouterr()
    assert captured.err == "user 'x\\x1b', must be known. Hint: try 'y'.\n"
    if as_json:
        assert json.loads(captured.out) == {
            "error": {"type": "UnknownError", "what": "user 'x\x1b'", "limit": "must be known", "hint": "try 'y'"}
        }
    else:
        assert captured.out == ""


def test_notes_and_progress_stay_off_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    note("a word beside")
    with progress_bars() as progress:
        progress("reading [b]", 1, 0)
        progress("embedding", 3, 3)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "a word beside" in captured.err
    assert "embedding" in captured.err
    assert "reading [b]" in captured.err
