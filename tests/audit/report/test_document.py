"""The report as data: one content, one hash, and refusals instead of half-read files."""

import dataclasses
import hashlib
import json
import math

import numpy as np
import pytest

from audit.report.document import (
    build_document,
    checked,
    findings_of,
    is_sealed,
    plan_of,
    read_document,
    report_bytes,
    sealed,
)
from tests.audit.report.findings import FACTS, findings
from workspace.errors import IntegrityError, InvalidValueError, SchemaError


def test_hash_is_of_the_canonical_content() -> None:
    # RFC 8785, section 3.2.2: names sorted, 1e30 as 1e+30, 4.50 as 4.5, no white space; hashed independently.
    document = sealed({"b": [1e30, 4.50, "€"], "a": None})
    canonical = '{"a":null,"b":[1e+30,4.5,"€"]}'.encode()
    digest = hashlib.sha256(canonical).hexdigest()
    assert document["hash"] == digest
    assert document["report_id"] == f"audit_{digest[:12]}"


def test_the_same_findings_give_the_same_bytes() -> None:
    once = report_bytes(build_document(findings(), facts=FACTS, software={"numpy": "2"}))
    assert once == report_bytes(build_document(findings(), facts=FACTS, software={"numpy": "2"}))
    assert once == report_bytes(read_document(once))


def test_reading_gives_back_what_was_found() -> None:
    made = findings()
    document = read_document(report_bytes(build_document(made)))
    assert is_sealed(document)
    assert findings_of(document).figures == made.figures
    assert findings_of(document).swaps[0].leaking_blocks == (("people", 0.31),)
    assert plan_of(document) == made.plan


def test_no_moment_is_in_the_hashed_part() -> None:
    text = json.dumps(build_document(findings(), facts=FACTS)["content"])
    assert "ran_at" not in text
    assert "created_at" not in text


@pytest.mark.parametrize("place", ["value", "verdict", "plan", "hash", "report_id"])
def test_a_changed_report_is_noticed(place: str) -> None:
    document = build_document(findings())
    if place == "value":
        document["content"]["figures"][0]["value"] += 1e-9
    elif place == "verdict":
        document["content"]["figures"][0]["verdict"] = "parity shown"
    elif place == "plan":
        document["content"]["plan"]["alpha"] = 0.01
    else:
        document[place] = document[place][:-1] + ("0" if document[place][-1] != "0" else "1")
    assert not is_sealed(document)
    with pytest.raises(IntegrityError, match="was changed after it was written"):
        checked(document)


def test_a_changed_plan_inside_is_refused() -> None:
    document = build_document(findings())
    document["content"]["plan"]["seed"] = 1
    with pytest.raises(IntegrityError, match="plan was changed"):
        plan_of(sealed(document["content"]))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "can't be read as JSON"),
        (b"%PDF-1.7", "can't be read as JSON"),
        (b'{"kind": "recommendr.audit-report", "format": 1', "can't be read as JSON"),
        (b"\xff\xfe", "can't be read as JSON"),
        (b"[" * 100_000, "can't be read as JSON"),
        (b'{"kind": NaN}', "can't be read as JSON"),
        (b'{"kind": "a", "kind": "b"}', "stands twice"),
        (b"[]", "is no audit report"),
        (b'{"kind": "scorecard"}', "is no audit report"),
        (b'{"kind": "recommendr.audit-report", "format": 99}', "has format 99"),
        (b'{"kind": "recommendr.audit-report", "format": 1}', "has no report_id"),
        (b'{"kind": "recommendr.audit-report", "format": 1, "report_id": "a", "hash": "b"}', "has no content"),
        (
            b'{"kind": "recommendr.audit-report", "format": 1, "report_id": "a", "hash": "b", "content": {}, "x": 1}',
            "beside its content",
        ),
    ],
)
def test_what_is_no_report_is_refused(raw: bytes, said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        read_document(raw)


def test_a_number_beyond_json_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="can't hold this"):
        build_document(dataclasses.replace(findings(), panel={"users": math.nan}))
    with pytest.raises(InvalidValueError, match="can't hold this"):
        read_document(
            b'{"kind":"recommendr.audit-report","format":1,"report_id":"a","hash":"b","content":{"n":9007199254740993}}'
        )


def test_a_truncated_file_is_refused() -> None:
    whole = report_bytes(build_document(findings()))
    with pytest.raises(SchemaError, match="can't be read"):
        read_document(whole[: len(whole) // 2])


def test_a_report_without_its_parts_is_refused() -> None:
    document = build_document(findings())
    del document["content"]["swaps"]
    with pytest.raises(SchemaError, match="can't be read"):
        findings_of(document)
    document["content"]["plan"] = []
    with pytest.raises(SchemaError, match="holds no plan"):
        plan_of(document)


def test_numbers_of_numpy_and_lone_surrogates_can_be_written() -> None:
    document = sealed({"n": np.int64(3), "x": np.float64(0.5), "title": "a\ud800b"})
    assert document["content"] == {"n": 3, "x": 0.5, "title": "a\\ud800b"}
