"""Logs: one JSON object a line, a transaction on every line, nothing lost when rotated."""

import json
import logging
import multiprocessing
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workspace import logs
from workspace.errors import InvalidValueError, StateError
from workspace.paths import Paths

LOG = logging.getLogger("recommender.anything")


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root = logging.getLogger()
    before, levels = list(root.handlers), {name: logging.getLogger(name).level for name in logs.PACKAGES}
    yield
    for handler in [handler for handler in root.handlers if handler not in before]:
        root.removeHandler(handler)
        handler.close()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text().splitlines()]


def test_logs_every_line_has_a_transaction(home: Paths) -> None:
    logs.configure(home)
    LOG.info("outside")
    with logs.transaction("abc") as named:
        LOG.info("inside %d", 1, extra={"films": 5})
        with logs.transaction() as joined:
            LOG.warning("nested")
    with logs.transaction() as fresh:
        LOG.info("new")
    found = lines_of(home.logs)
    assert (named, joined) == ("abc", "abc")
    assert [line["transaction_id"] for line in found] == [logs.current_transaction(), "abc", "abc", fresh]
    assert fresh.startswith("txn_")
    assert fresh != logs.current_transaction()
    assert found[1]["message"] == "inside 1"
    assert found[1]["films"] == 5
    assert found[2]["level"] == "WARNING"


def test_logs_transaction_of_one_thread_is_not_that_of_another() -> None:
    seen: list[str] = []
    with logs.transaction("mine"):
        thread = threading.Thread(target=lambda: seen.append(logs.current_transaction()))
        thread.start()
        thread.join()
    assert seen != ["mine"]


def test_logs_error_is_written_with_its_traceback(home: Paths) -> None:
    logs.configure(home)
    try:
        raise StateError("no index")
    except StateError:
        LOG.exception("failed\nwith a line break")
    (line,) = lines_of(home.logs)
    assert line["error"]["type"] == "StateError"
    assert "no index" in line["error"]["traceback"]
    assert line["message"] == "failed\nwith a line break"


def test_logs_extra_can_not_forge_the_transaction_and_may_be_anything(home: Paths) -> None:
    logs.configure(home)
    LOG.info("x", extra={"transaction_id": "forged", "path": Path("p")})
    (line,) = lines_of(home.logs)
    assert line["transaction_id"] == logs.current_transaction()
    assert line["path"] == "p"


def test_logs_level_holds_for_our_packages_only(home: Paths) -> None:
    logs.configure(home, "DEBUG")
    LOG.debug("ours")
    logging.getLogger("somebody.else").info("theirs")
    assert [line["message"] for line in lines_of(home.logs)] == ["ours"]


def test_logs_configured_twice_writes_each_line_once(home: Paths) -> None:
    logs.configure(home)
    logs.configure(home)
    LOG.info("once")
    assert len(lines_of(home.logs)) == 1


def test_logs_follow_a_file_that_was_removed(home: Paths) -> None:
    logs.configure(home)
    LOG.info("before")
    (home.logs / logs.LOG_FILE).unlink()
    LOG.info("after")
    assert [line["message"] for line in lines_of(home.logs)] == ["after"]


def write_many(folder: Path, name: str, count: int) -> None:
    handler = logs.JsonLinesHandler(folder / "x.jsonl", maximum_bytes=4_000, kept=400)
    handler.setFormatter(logs.JsonFormatter())
    for number in range(count):
        handler.emit(logging.makeLogRecord({"msg": f"{name}-{number}", "levelname": "INFO"}))
    handler.close()


def test_logs_rotation_by_three_processes_loses_no_line(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=write_many, args=(tmp_path, str(number), 150)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    messages = [line["message"] for line in lines_of(tmp_path)]
    assert sorted(messages) == sorted(f"{name}-{number}" for name in range(3) for number in range(150))
    assert all(path.stat().st_size <= 4_000 for path in tmp_path.glob("*.jsonl"))


def test_logs_rotation_keeps_only_so_many_files(tmp_path: Path) -> None:
    handler = logs.JsonLinesHandler(tmp_path / "x.jsonl", maximum_bytes=100, kept=2)
    for number in range(10):
        handler.emit(logging.makeLogRecord({"msg": f"{number:090d}"}))
    handler.close()
    assert {path.name: path.read_text().strip("0\n") for path in tmp_path.glob("*.jsonl")} == {
        "x.jsonl": "9",
        "x.1.jsonl": "8",
        "x.2.jsonl": "7",
    }


def test_logs_failure_to_write_does_not_reach_the_caller(
    home: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logs.configure(home)
    monkeypatch.setattr(handler, "_maximum_bytes", "no number")
    LOG.info("lost")
    assert "TypeError" in capsys.readouterr().err


def test_logs_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(StateError, match="can't be written"):
        logs.configure(Paths(tmp_path))


def test_logs_unknown_level_is_named(home: Paths) -> None:
    with pytest.raises(InvalidValueError, match="LOUD"):
        logs.configure(home, "LOUD")


@pytest.mark.parametrize("wrong", ["", "x" * 129, "a\nb"])
def test_transaction_refuses_impossible_ids(wrong: str) -> None:
    with pytest.raises(InvalidValueError), logs.transaction(wrong):
        pass


def test_logs_every_line_has_its_service(home: Paths) -> None:
    logs.configure(home)
    LOG.info("default")
    logs.configure(home, service="cli")
    LOG.info("chosen")
    LOG.info("told", extra={"service": "recommender"})
    LOG.info("not a name", extra={"service": 5})
    assert [line["service"] for line in lines_of(home.logs)] == ["console", "cli", "recommender", "cli"]


def test_hop_logs_one_line_at_its_end(home: Paths) -> None:
    logs.configure(home)
    with logs.transaction("t"), logs.hop("content", region="DE") as said:
        LOG.info("inside")
        said["films"] = 7
    inside, line = lines_of(home.logs)
    assert inside["message"] == "inside"
    assert (line["service"], line["status"], line["region"], line["films"]) == ("content", 200, "DE", 7)
    assert line["transaction_id"] == "t"
    assert 0 <= line["duration_ms"] < 10_000
    assert line["ts"] >= inside["ts"]


@pytest.mark.parametrize(("error", "status"), [(InvalidValueError("k == 0"), 400), (StateError("no index"), 500)])
def test_hop_that_fails_says_so_and_lets_the_error_pass(home: Paths, error: Exception, status: int) -> None:
    logs.configure(home)
    with pytest.raises(type(error)), logs.hop("bff"):
        raise error
    (line,) = lines_of(home.logs)
    assert line["status"] == status


def test_logs_hold_no_secret_and_no_user_id(home: Paths) -> None:
    logs.configure(home)
    try:
        raise StateError("user 'u-raw-17' can't reach postgresql://me:hunter2@host/db", hint="password=hunter2")
    except StateError:
        LOG.exception(
            "failed for user_id='u-raw-17' with token: hunter2",
            extra={
                "user_id": "u-raw-17",
                "api_key": "hunter2",
                "deep": {"users": {"user_ids": ["u-raw-17"]}, "headers": {"Authorization": "Bearer hunter2"}},
                "url": "https://x:hunter2@host/",
            },
        )
    (text,) = [path.read_text() for path in home.logs.glob("*.jsonl")]
    assert "hunter2" not in text
    assert "u-raw-17" not in text
    (line,) = lines_of(home.logs)
    # Lines about one user can be told to belong together.
    assert line["user_id"] == line["deep"]["users"]["user_ids"][0]
    assert line["user_id"].startswith("user:")
    assert line["url"] == "https://[redacted]@host/"
