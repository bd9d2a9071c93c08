"""Two reports, each harmless, that give three people away together."""

import datetime as dt
import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from audit.panel import COLUMNS, PERSONA, Panel
from audit.plan import CROSS, MARKET, PREMIUM, REGION, AuditPlan
from audit.results import Findings, GroupCount
from audit.runs.repeating import refuse_overlap
from audit.suppression.differencing import DifferencingError
from recommender.acts import Acts

PEOPLE = {("KG", False): 40, ("KG", True): 3, ("UZ", False): 30, ("UZ", True): 30}
BOTH = f"{REGION}{CROSS}{PREMIUM}"


@pytest.fixture(scope="module")
def panel() -> Panel:
    people = [key for key, count in PEOPLE.items() for _ in range(count)]
    accounts = pd.DataFrame(
        [
            {**dict.fromkeys(COLUMNS, ""), PERSONA: f"u{n}", REGION: region, MARKET: "central_asia", PREMIUM: premium}
            for n, (region, premium) in enumerate(people)
        ]
    )
    nothing = np.empty(0)
    acts = Acts(
        users=nothing.astype(np.int64), films=nothing.astype(np.int64), likes=nothing, watched=nothing.astype(bool),
        positive=nothing.astype(bool), days=nothing,
    )  # fmt: skip
    codes = np.arange(len(people))
    return Panel(
        kind="observed", accounts=accounts, film_ids=(), histories=acts, heldout=acts, history_of=codes, cluster=codes,
        left_out={},
    )  # fmt: skip


def report(axis: str, counts: Mapping[str, int | None], population: str = "this") -> Findings:
    return Findings(
        plan=AuditPlan(
            title="x", index_version="v1", snapshot_id="c1", on=dt.date(2026, 3, 1), panel="observed", axes=(axis,)
        ),
        subject={},
        panel={"panel_hash": population},
        counts=tuple(
            GroupCount(side="user", axis=axis, group=group, n=n, share=None, judged=True) for group, n in counts.items()
        ),
        figures=(),
    )


BY_REGION = report(REGION, {"KG": 43, "UZ": 60})
BY_BOTH = report(
    BOTH,
    {f"KG{CROSS}free": 40, f"KG{CROSS}premium": None, f"UZ{CROSS}free": 30, f"UZ{CROSS}premium": 30},
)


@pytest.mark.parametrize(("first", "second"), [(BY_REGION, BY_BOTH), (BY_BOTH, BY_REGION)])
def test_two_overlapping_filters_are_refused_without_a_number(panel: Panel, first: Findings, second: Findings) -> None:
    refuse_overlap(panel, first, [])
    refuse_overlap(panel, second, [])
    with pytest.raises(DifferencingError, match=r"region.*KG") as refused:
        refuse_overlap(panel, second, [first])
    assert re.findall(r"\d+", str(refused.value)) == ["10"]


def test_the_same_report_again_and_another_population_are_no_overlap(panel: Panel) -> None:
    refuse_overlap(panel, BY_BOTH, [BY_BOTH])
    refuse_overlap(panel, BY_BOTH, [report(REGION, {"KG": 43, "UZ": 60}, population="another")])


def test_what_was_withheld_before_gives_nothing_away(panel: Panel) -> None:
    refuse_overlap(panel, BY_BOTH, [report(REGION, {"KG": None, "UZ": 60})])
