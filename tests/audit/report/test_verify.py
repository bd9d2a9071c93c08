"""Verifying: identical, or where not, whatever was done to the file."""

import copy
from typing import Any

import pytest

from audit.plan import AuditPlan
from audit.report.document import build_document, sealed
from audit.report.verify import MOST_DIFFERENCES, verify
from tests.audit.report.findings import findings
from workspace.errors import UnknownError

SOFTWARE = {"numpy": "2.2"}


def again(_: AuditPlan) -> dict[str, Any]:
    return build_document(findings(), software=SOFTWARE)


def report() -> dict[str, Any]:
    return copy.deepcopy(again(findings().plan))


def test_the_same_run_is_identical() -> None:
    found = verify(report(), again)
    assert (found.identical, found.hash_holds, found.where) == (True, True, [])
    assert found.rerun_hash == report()["hash"]
    assert found.words.startswith("Identical")


def test_a_changed_number_is_found_and_located() -> None:
    document = report()
    document["content"]["figures"][1]["ratio"] = 0.5
    found = verify(document, again)
    assert (found.identical, found.hash_holds, found.where) == (False, False, ["/content/figures/1/ratio"])
    assert (found.differences[0].recorded, found.differences[0].again) == (0.5, 1)
    assert found.differences[0].row == "Hit rate: female against male"
    assert "changed after it was written" in found.words


def test_a_forger_who_hashes_anew_is_found_by_the_run() -> None:
    document = report()
    document["content"]["figures"][0]["verdict"] = "parity shown"
    forged = sealed(document["content"])
    found = verify(forged, again)
    assert (found.identical, found.hash_holds, found.where) == (False, True, ["/content/figures/0/verdict"])
    assert "the hash holds, but" in found.words


def test_a_removed_row_is_found() -> None:
    document = report()
    del document["content"]["limits"][-1]
    found = verify(document, again)
    last = len(document["content"]["limits"])
    assert found.where == [f"/content/limits/{last}"]
    assert found.differences[0].recorded == "absent"


def test_a_changed_hash_alone_is_said() -> None:
    document = {**report(), "hash": "0" * 64}
    found = verify(document, again)
    assert (found.identical, found.where) == (False, [])
    assert "the content is what its plan gives" in found.words


def test_a_changed_plan_inside_is_found_with_and_without_the_declared_one() -> None:
    document = report()
    document["content"]["plan"]["seed"] = 7
    alone = verify(document, again)
    assert (alone.identical, alone.rerun) == (False, False)
    assert "the plan was changed" in alone.words
    known = verify(document, again, plan=findings().plan)
    assert known.where == ["/content/plan/seed"]


def test_other_software_is_named_and_does_not_differ() -> None:
    def later(plan: AuditPlan) -> dict[str, Any]:
        return build_document(findings(plan=plan), software={"numpy": "3.0", "scipy": "2"})

    found = verify(report(), later)
    assert found.identical
    assert [dict(one) for one in found.software] == [
        {"name": "numpy", "recorded": "2.2", "now": "3.0"},
        {"name": "scipy", "recorded": "absent", "now": "2"},
    ]


def gone(_: AuditPlan) -> dict[str, Any]:
    raise UnknownError("index_version == 'v0'", "must be a version that is there")


def test_a_version_that_is_gone_is_refused() -> None:
    with pytest.raises(UnknownError, match="must be a version that is there"):
        verify(report(), gone)


def test_a_changed_report_is_named_even_when_it_can_not_be_run() -> None:
    document = report()
    document["content"]["withheld"] = 99
    found = verify(document, gone)
    assert (found.identical, found.rerun) == (False, False)
    assert "could not be run again" in found.words


def test_true_and_one_are_not_the_same() -> None:
    document = report()
    document["content"]["summary"]["found"] = 1
    assert verify(document, again).where == ["/content/summary/found"]


def test_names_with_slashes_are_escaped_as_pointers_are() -> None:
    document = report()
    document["content"]["subject"]["a/b~c"] = 1
    assert verify(document, again).where == ["/content/subject/a~1b~0c"]


def test_differences_end_somewhere() -> None:
    document = report()
    document["content"]["limits"] = [f"{n}" for n in range(MOST_DIFFERENCES * 2)]
    found = verify(document, again)
    assert len(found.where) == MOST_DIFFERENCES
    assert "at least" in found.words
