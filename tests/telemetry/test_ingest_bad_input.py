"""What the world sends: each bad thing is a named error or a counted, explained quarantine; nothing crashes."""

import datetime as dt
import gzip
import json
import resource
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.ingest import sources
from tests.telemetry.raw_events import (
    NOW,
    as_csv,
    as_parquet,
    event,
    open_ingestor,
    quarantined,
    stored,
    to_lines,
    written,
)
from workspace.errors import InputError, InvalidValueError, SchemaError, StateError

LONG = "x" * 129


def ago(**by: float) -> str:
    return (NOW - dt.timedelta(**by)).isoformat()


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no id": (event(1, event_id=None), "event_id: missing"),
    "empty id": (event(1, event_id=""), "event_id: missing"),
    "long id": (event(1, event_id=LONG), "event_id: must be 1 to 128 printable characters"),
    "id with an escape": (event(1, event_id="a\x1b[2J"), "event_id: must be 1 to 128 printable characters"),
    "id turning the line": (event(1, event_id="a\u202eb"), "event_id: must be 1 to 128 printable characters"),
    "id of another type": (event(1, event_id=["a"]), "event_id: must be text"),
    "no user": (event(1, user_id=None), "user_id: missing"),
    "long user": (event(1, user_id="u" * 257), "user_id: must be 1 to 256 printable characters"),
    "no time": (event(1, ts=None), "ts: missing"),
    "time without zone": (event(1, ts="2026-05-04T11:00:00"), "ts: must be an ISO-8601 time with a zone"),
    "no such day": (event(1, ts="2026-02-30T11:00:00Z"), "ts: must be an ISO-8601 time with a zone"),
    "epoch": (event(1, ts=1777890000), "ts: must be an ISO-8601 time with a zone"),
    "epoch as text": (event(1, ts="1777890000"), "ts: must be an ISO-8601 time with a zone"),
    "year 1970": (event(1, ts="1970-01-01T00:00:00Z"), "ts: before the year 2000"),
    "bad receipt": (event(1, received_at="soon"), "received_at: must be an ISO-8601 time with a zone"),
    "receipt in the future": (event(1, received_at=ago(minutes=-6)), "received_at: more than 5 min in the future"),
    "future": (event(1, ts=ago(days=-3), received_at=None), "ts: more than 5 min after its receipt"),
    "clock ahead": (event(1, ts=ago(minutes=4), received_at=ago(minutes=10)), "ts: more than 5 min after its receipt"),
    "no region": (event(1, region=None), "region: missing"),
    "region in words": (event(1, region="usa"), "region: must be two upper-case letters"),
    "no device": (event(1, device=None), "device: missing"),
    "unknown device": (event(1, device="fridge"), "device: unknown device"),
    "no type": (event(1, event_type=None), "event_type: missing"),
    "unknown type": (event(1, event_type="hover"), "event_type: unknown event type"),
    "no slate": (event(1, slate_id=None), "slate_id: missing"),
    "refresh without slate": (
        event(1, event_type="refresh", film_id=None, position=None, slate_id=None), "slate_id: missing"),
    "no film": (event(1, film_id=None, event_type="click"), "film_id: missing"),
    "no position": (event(1, position=None, event_type="thumbs_down"), "position: missing"),
    "position 0": (event(1, position=0), "position: must be a whole number from 1 to 100"),
    "position 101": (event(1, position=101), "position: must be a whole number from 1 to 100"),
    "position 1.5": (event(1, position=1.5), "position: must be a whole number from 1 to 100"),
    "position in words": (event(1, position="third"), "position: must be a number"),
    "position true": (event(1, position=True), "position: must be a number"),
    "position beyond floats": (event(1, position=10**400), "position: must be a whole number from 1 to 100"),
    "focus without dwell": (event(1, event_type="focus"), "value: missing"),
    "negative dwell": (event(1, event_type="focus", value=-0.5), "value: negative dwell"),
    "dwell of days": (event(1, event_type="focus", value=86_401), "value: dwell of more than a day"),
    "survey of 6": (event(1, event_type="survey", value=6), "value: must be a whole score from 1 to 5"),
    "survey of 2.5": (event(1, event_type="survey", value=2.5), "value: must be a whole score from 1 to 5"),
    "click with a value": (event(1, event_type="click", value=1), "value: only focus and survey carry a value"),
    "variant without experiment": (event(1, experiment_id=None), "experiment_id: experiment and variant come together"),
    "experiment without variant": (event(1, variant=None), "experiment_id: experiment and variant come together"),
    "long session": (event(1, session_id=LONG), "session_id: must be 1 to 128 printable characters"),
    "long extra": (event(1, more="y" * 20_000), "extra: unknown fields are too long"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_event_is_quarantined_with_its_reason(tmp_path: Path, name: str) -> None:
    bad, reason = REFUSED[name]
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(written(tmp_path / "a.jsonl", [event(7), bad, event(8)]))
    assert report.reasons == {reason: 1}
    assert (report.read, report.accepted, report.quarantined) == (3, 2, 1)
    (line,) = quarantined(ingestor)
    assert line["row"] == 2
    assert f"{line['field']}: {line['reason']}" == reason


@pytest.mark.parametrize("accepted", [
    event(1, ts=ago(minutes=6), received_at=ago(minutes=10.9)), event(1, received_at=ago(minutes=-4.9)),
    event(1, event_type="focus", value=0), event(1, event_type="focus", value=86_400), event(1, position=100),
    event(1, event_type="survey", value=5, slate_id=None, film_id=None, position=None),
    event(1, event_id="é" * 128, user_id="ü" * 256), event(1, ts="2000-01-01T00:00:00Z"),
])  # fmt: skip
def test_an_event_at_its_limits_is_accepted(tmp_path: Path, accepted: dict[str, Any]) -> None:
    report = open_ingestor(tmp_path / "home").ingest_path(written(tmp_path / "a.jsonl", [accepted]))
    assert report.to_dict()["reasons"] == {}
    assert report.accepted == 1


MALFORMED: dict[bytes, str] = {
    b'{"event_id": "a"': "malformed JSON",
    b'{"event_id": "a"} {"event_id": "b"}': "malformed JSON",
    b"nonsense": "malformed JSON",
    b'["event_id"]': "not a JSON object",
    b"3": "not a JSON object",
    b'{"event_id": "a", "event_id": "b"}': "a key twice",
    b'{"value": NaN}': "NaN or Infinity, which JSON does not know",
    b'{"extra": {"deep": -Infinity}}': "NaN or Infinity, which JSON does not know",
    b'{"event_id": "\xff\xfe"}': "not UTF-8",
    b'{"event_id": "\\ud800"}': "not UTF-8",
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000: "nested too deep",
    b"[" * 30_000: "nested too deep",
    b'{"event_id": "a"}\x00': "malformed JSON",
}


@pytest.mark.parametrize("line", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_line_is_quarantined_with_its_reason(tmp_path: Path, line: bytes) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(written(tmp_path / "a.jsonl", [event(1), line, event(2)]))
    assert report.reasons == {f"row: {MALFORMED[line]}": 1}
    assert report.accepted == 2
    assert quarantined(ingestor)[0]["row"] == 2


def test_objects_that_share_or_span_lines_are_refused(tmp_path: Path) -> None:
    # As many objects as lines, and yet not one on each: only looking line by line tells.
    one, two, three = (json.dumps(event(n)) for n in range(3))
    half = len(three) // 2
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(written(tmp_path / "a.jsonl", [one + two, three[:half], three[half:]]))
    assert report.reasons == {"row: malformed JSON": 3}
    assert report.accepted == 0


def test_bad_lines_among_many_cost_only_themselves(tmp_path: Path) -> None:
    lines: list[Any] = [event(n) for n in range(3_000)]
    for row in (0, 1, 999, 1_500, 2_999):
        lines[row] = b"{broken"
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(written(tmp_path / "a.jsonl", lines))
    assert (report.accepted, report.quarantined) == (2_995, 5)
    assert [line["row"] for line in quarantined(ingestor)] == [1, 2, 1_000, 1_501, 3_000]


def test_a_line_of_10_mb_is_quarantined_without_filling_memory(tmp_path: Path) -> None:
    huge = b'{"event_id": "' + b"x" * 10_000_000 + b'"}'
    path = written(tmp_path / "a.jsonl", [event(1), huge, event(2), b"y" * 65_537, b"z" * 40_000_000, event(3)])
    ingestor = open_ingestor(tmp_path / "home")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = ingestor.ingest_path(path)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert report.reasons == {"row: line of more than 65,536 bytes": 3}
    assert [row["event_id"] for row in stored(ingestor)] == ["ev-00000001", "ev-00000002", "ev-00000003"]
    lines = quarantined(ingestor)
    assert [line["row"] for line in lines] == [2, 4, 5]
    import hashlib

    assert [line["sha256"] for line in lines] == [
        hashlib.sha256(raw).hexdigest() for raw in (huge, b"y" * 65_537, b"z" * 40_000_000)
    ]
    assert max(len(json.dumps(line)) for line in lines) < 3_000
    assert grown_mb < 200


def test_a_gzip_bomb_is_refused_by_name_size_and_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "RATIO_COUNTS_FROM", 1 << 20)
    path = tmp_path / "bomb.jsonl.gz"
    path.write_bytes(gzip.compress(b"\n" * 50_000_000))
    with pytest.raises(SchemaError, match=r"bomb\.jsonl\.gz \([\d,]+ bytes\) unpacks to more than [\d,]+ bytes"):
        open_ingestor(tmp_path / "home").ingest_path(path)


def test_an_honest_gzip_file_passes_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(to_lines([event(n) for n in range(2_000)])))
    assert open_ingestor(tmp_path / "home").ingest_path(path).accepted == 2_000


@pytest.mark.parametrize("cut", [5, 40, -3])
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(to_lines([event(1), event(2)]))[:cut])
    with pytest.raises(SchemaError, match="damaged gzip"):
        open_ingestor(tmp_path / "home").ingest_path(path)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_utf_16_is_refused_with_the_cure(tmp_path: Path, encoding: str, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(to_lines([event(1)]).decode().encode(encoding))
    with pytest.raises(SchemaError, match="iconv"):
        open_ingestor(tmp_path / "home").ingest_path(path)


def test_a_byte_order_mark_of_utf_8_is_passed_over(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + to_lines([event(1)]))
    (tmp_path / "b.csv").write_bytes(b"\xef\xbb\xbf" + as_csv(tmp_path / "c.csv", [event(2)]).read_bytes())
    for name in ("a.jsonl", "b.csv"):
        report = ingestor.ingest_path(tmp_path / name)
        assert (report.accepted, report.quarantined) == (1, 0)


def test_latin_1_is_quarantined_line_by_line(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    good, bad = event(1), json.dumps(event(2, session_id="café"), ensure_ascii=False).encode("latin-1")
    assert ingestor.ingest_path(written(tmp_path / "a.jsonl", [good, bad])).reasons == {"row: not UTF-8": 1}
    content = as_csv(tmp_path / "b.csv", [event(3), event(4, session_id="café")]).read_text("utf-8")
    (tmp_path / "b.csv").write_bytes(content.encode("latin-1"))
    assert ingestor.ingest_path(tmp_path / "b.csv").reasons == {"row: not UTF-8": 1}


def test_bad_csv_lines_are_quarantined(tmp_path: Path) -> None:
    path = as_csv(tmp_path / "a.csv", [event(1), event(2, session_id='"a,b"')])
    text = (
        path.read_text()
        + 'too,few\n"open'
        + "\n"
        + text_row(event(3, position="x"))
        + text_row(event(4, value="1e999"))
    )
    path.write_text(text)
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(path)
    assert report.accepted == 2
    assert [row["session_id"] for row in stored(ingestor)] == ["s-1", "a,b"]
    assert report.reasons == {
        "row: as many fields as the head has names are wanted": 2,
        "row: malformed CSV": 1,
        "position: must be a whole number from 1 to 100": 1,
    }


def text_row(one: dict[str, Any]) -> str:
    return ",".join(str(value) for value in one.values()) + "\n"


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_without_a_required_column_is_refused(tmp_path: Path, kind: str) -> None:
    write = as_csv if kind == "csv" else as_parquet
    path = write(tmp_path / f"a.{kind}", [event(1, device=None)])
    with pytest.raises(SchemaError, match="lacks device"):
        open_ingestor(tmp_path / "home").ingest_path(path)


def test_parquet_columns_of_the_wrong_type_are_refused(tmp_path: Path) -> None:
    base = {name: [value] for name, value in event(1).items()}
    wrong = {"ts": [1_777_890_000], "device": [2.5], "position": [["x"]]}
    for name, values in wrong.items():
        pq.write_table(pa.table(base | {name: values}), tmp_path / "a.parquet")
        with pytest.raises(SchemaError, match=f"{name} in .* is .*must be"):
            open_ingestor(tmp_path / "home").ingest_path(tmp_path / "a.parquet")


def test_parquet_texts_go_through_the_same_door(tmp_path: Path) -> None:
    rows = [event(1), event(2, ts="1970-01-01T00:00:00Z"), event(3, position=0)]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    table = pa.table(columns | {"device": pa.array(["web"] * 3).dictionary_encode(), "value": pa.nulls(3)})
    pq.write_table(table, tmp_path / "a.parquet")
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(tmp_path / "a.parquet")
    assert report.reasons == {"ts: before the year 2000": 1, "position: must be a whole number from 1 to 100": 1}
    assert [line["row"] for line in quarantined(ingestor)] == [2, 3]


def test_damaged_parquet_is_refused(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", [event(n) for n in range(100)])
    whole = path.read_bytes()
    for content in (whole[:-20], whole[:200] + b"\0" * 200 + whole[400:], b"PAR1", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(SchemaError):
            open_ingestor(tmp_path / "home").ingest_path(path)


def test_what_is_no_source_is_named(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    with pytest.raises(StateError, match="No such file"):
        ingestor.ingest_path(tmp_path / "none.jsonl")
    (tmp_path / "a.xml").write_bytes(b"<events/>")
    with pytest.raises(InvalidValueError, match="tells no format"):
        ingestor.ingest_path(tmp_path / "a.xml")
    with pytest.raises(InvalidValueError, match="must be one of jsonl, csv, parquet"):
        ingestor.ingest_path(tmp_path / "a.xml", "xml")
    as_parquet(tmp_path / "b.jsonl", [event(1)])
    with pytest.raises(SchemaError, match="is a Parquet file"):
        ingestor.ingest_path(tmp_path / "b.jsonl")
    written(tmp_path / "c.parquet", [event(1)])
    with pytest.raises(SchemaError, match="no Parquet file"):
        ingestor.ingest_path(tmp_path / "c.parquet")


def test_film_and_user_events_are_refused_where_nobody_takes_them(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    message = {"type": "film.updated", "event_id": "f1", "ts": NOW.isoformat(), "film": {"film_id": "1"}}
    path = written(tmp_path / "a.jsonl", [event(1), message])
    report = ingestor.ingest_path(path)
    assert report.reasons == {"type: a film or user event, which nobody here takes in": 1}


BASE = event(1)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300)
    | st.sampled_from(["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "\u0000", "'; --"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip
MUTATIONS = st.dictionaries(st.sampled_from([*BASE, "value", "extra", "new"]), VALUES, max_size=4)


@given(st.lists(MUTATIONS | st.binary(max_size=60).filter(lambda line: b"\n" not in line), max_size=12), st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_account_balances_for_any_input(tmp_path: Path, mutations: list[Any], crlf: bool) -> None:
    ingestor = _SHARED.setdefault("ingestor", open_ingestor(tmp_path / "home"))
    turn = _SHARED["turn"] = _SHARED.get("turn", 0) + 1
    lines = [
        one if isinstance(one, bytes) else json.dumps({**event(n), **one}).encode() for n, one in enumerate(mutations)
    ]
    path = tmp_path / f"{turn}.jsonl"
    path.write_bytes((b"\r\n" if crlf else b"\n").join(lines))
    try:
        report = ingestor.ingest_path(path)
    except InputError:
        # The file as a whole gives itself out for Parquet, gzip or UTF-16.
        content = path.read_bytes()
        assert content.startswith((b"PAR1", b"\x1f\x8b", b"\xff\xfe", b"\xfe\xff")) or b"\0" in content
        return
    assert report.already or report.read == sum(bool(line.strip()) for line in lines)
    assert report.read == report.accepted + report.duplicates + report.quarantined
    assert report.quarantined == sum(report.reasons.values())
    assert report.accepted == sum(report.dates.values())
    assert len(stored(ingestor)) == sum(batch.accepted for batch in ingestor.parts.batches())


_SHARED: dict[str, Any] = {}
