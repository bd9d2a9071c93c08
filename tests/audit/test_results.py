import datetime as dt
import json

import pytest
import rfc8785

from audit.plan import AuditPlan
from audit.results import Figure, Findings, GroupCount, Leak, Pooled, PopularityRow, Swap, Verdict
from workspace.errors import IntegrityError, SchemaError


def findings() -> Findings:
    return Findings(
        plan=AuditPlan(title="Names", index_version="v1", snapshot_id="c1", on=dt.date(2026, 3, 1)),
        subject={"index_version": "v1"},
        panel={"kind": "personas", "users": 40},
        counts=(GroupCount(side="user", axis="gender", group="unknown", n=None, share=None, judged=False, reason=""),),
        figures=(
            Figure(measure="reach", side="user", axis="gender", group="woman", reference="man", n=20, n_reference=20,
                   value=0.5, interval=(0.3, 0.7), ratio=0.7, ratio_interval=(0.5, 0.79), in_family=True,
                   verdict=Verdict.DISPARITY),
            Figure(measure="reach", side="user", axis="gender", group="man", reference="man", reason="the reference"),
        ),
        swaps=(Swap(attribute="gender", pairs=20, differing=1, by_rule=0, declared=False, passed=False,
                    leaking_blocks=(("people", 0.1),), examples=({"persona": "p1"},), words="one list differs"),),
        leaks=(Leak(axis="gender", block="people", auc=0.5, interval=(0.4, 0.6), groups=2, n=40, p=1.0, p_adjusted=1.0,
                    carries=False, words="chance"),),
        popularity=(PopularityRow(measure="gini", value=0.4, interval=None, convention="biased"),),
        pooled=(Pooled(axis="gender", measure="reach", group="woman", reference="man", film_axis="", film_group="",
                       ratio=0.9, interval=(0.8, 1.0), p=0.1, heterogeneity_p=0.5, markets=({"m": 1},), words=""),),
        limits=("Personas are not people.",),
        withheld=2,
    )  # fmt: skip


def test_findings_come_back_from_canonical_json() -> None:
    assert Findings.from_dict(json.loads(rfc8785.dumps(findings().to_dict()))) == findings()


def test_found_counts_disparities_and_failed_swaps() -> None:
    assert [one.group for one in findings().disparities] == ["woman"]
    assert findings().found


@pytest.mark.parametrize("part", ["figures", "plan", "limits"])
def test_findings_without_a_part_are_refused(part: str) -> None:
    told = findings().to_dict()
    del told[part]
    with pytest.raises(SchemaError):
        Findings.from_dict(told)


def test_findings_with_a_changed_plan_or_a_strange_field_are_refused() -> None:
    told = findings().to_dict()
    told["plan"]["alpha"] = 0.5
    with pytest.raises(IntegrityError):
        Findings.from_dict(told)
    told = findings().to_dict()
    told["figures"][0]["mood"] = "good"
    with pytest.raises(SchemaError, match="mood"):
        Findings.from_dict(told)
