"""What the command line leaves behind of its runs, read by an independent parser."""

import datetime as dt
import multiprocessing

from prometheus_client.parser import text_string_to_metric_families

from telemetry.textfile import FILE, record_run
from workspace.clock import FrozenClock
from workspace.paths import Paths

NOW = FrozenClock(dt.datetime(2026, 1, 5, tzinfo=dt.UTC))


def read(paths: Paths) -> dict[tuple[str, str], float]:
    text = (paths.system / FILE).read_text(encoding="utf-8")
    return {
        (one.name.removeprefix("recommendr_command_last_"), one.labels["command"]): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_textfile_keeps_the_last_run_of_each_command(home: Paths) -> None:
    record_run(home, "index build", 12.5, 0, NOW)
    record_run(home, "init", 1e-7, 2, NOW)
    record_run(home, "index build", 3.0, 70, NOW)
    at = NOW.now().timestamp()
    assert read(home) == {
        ("duration_seconds", "index build"): 3.0,
        ("duration_seconds", "init"): 1e-7,
        ("exit_code", "index build"): 70,
        ("exit_code", "init"): 2,
        ("run_timestamp_seconds", "index build"): at,
        ("run_timestamp_seconds", "init"): at,
    }


def test_textfile_notes_no_arguments(home: Paths) -> None:
    record_run(home, 'recommend "u-17"', 1.0, 0, NOW)
    record_run(home, "", 1.0, 0, NOW)
    assert not (home.system / FILE).exists()


def test_textfile_replaces_a_damaged_file(home: Paths) -> None:
    (home.system / FILE).write_bytes(b'\xff\xfe{command="x"} \nrecommendr_x{command="init"} 1e.e\n')
    record_run(home, "init", 1.0, 0, NOW)
    assert read(home)["duration_seconds", "init"] == 1.0


def record_many(home: Paths, command: str) -> None:
    for _ in range(20):
        record_run(home, command, 1.0, 0)


def test_textfile_of_processes_side_by_side_loses_no_command(home: Paths) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=record_many, args=(home, name)) for name in ("init", "recommend", "explain")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert {command for _, command in read(home)} == {"init", "recommend", "explain"}
