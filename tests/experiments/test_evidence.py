"""Evidence packs: the same verdict from the file alone, and no change to it goes unnoticed."""

import copy
import datetime as dt
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.analysis import Analysis
from experiments.cells import Cells
from experiments.counted import KeptSums, cells_from_dict, cells_to_dict, pooled
from experiments.evidence import pack, recompute
from experiments.evidence.packing import sealed
from experiments.plan import ExperimentPlan
from experiments.scorecard import score
from experiments.verdict import judge
from tests.experiments.arms import START, cells, counted, plan_of, rows_of, users
from workspace.errors import IntegrityError, SchemaError

PLAN = plan_of(hypothesis="</script><b>Genres & co. first raise clicks.</b>")
ROWS = rows_of(np.random.default_rng(3), n=2_000, lift=0.15)


class Known:
    """What an analyst knows of one experiment, without a warehouse."""

    def plan(self, _: str) -> ExperimentPlan:
        return PLAN

    def ended(self, _: str) -> None:
        return None

    def as_of(self, _: str, as_of: dt.date | None = None) -> dt.date:
        return as_of or START + dt.timedelta(days=8)

    def counted(self, _: ExperimentPlan, day: dt.date) -> KeptSums:
        return counted(cells(ROWS), day=(day - START).days + 1)

    def halves(self, *_: Any) -> Cells | None:
        return None

    def late(self, *_: Any) -> dict[str, float]:
        return {"control": 0.01, "treatment": 0.011}

    def analysis(self, _: str, day: dt.date) -> Analysis:
        first, now = (self._card(one) for one in (START + dt.timedelta(days=6), day))
        return Analysis(scorecard=now, verdict=judge(PLAN, [first], now))

    def _card(self, day: dt.date) -> Any:
        return score(PLAN, self.counted(PLAN, day), late=self.late())


PACK = pack(Known(), "exp", ledger_head="ab" * 32)  # type: ignore[arg-type]


def document() -> dict[str, Any]:
    return copy.deepcopy(json.loads(PACK.json_bytes()))


def test_the_same_verdict_from_the_file_alone(tmp_path: Path) -> None:
    for name, content in (("p.json", PACK.json_bytes()), ("p.html", PACK.html().encode())):
        (tmp_path / name).write_bytes(content)
        again = recompute(tmp_path / name)
        assert again.verdict.decision.value == "Ship"
        assert again.verdict.to_dict() == PACK.document["verdict"]
        assert again.sha256 == PACK.document["sha256"]
        assert again.ledger_head == "ab" * 32


def test_the_same_sums_give_the_same_bytes() -> None:
    assert pack(Known(), "exp", ledger_head="ab" * 32).json_bytes() == PACK.json_bytes()  # type: ignore[arg-type]


def test_the_page_holds_itself_together() -> None:
    page = PACK.html()
    for link in ("http://", "https://", "src=", "href=", "url(", "@import"):
        assert link not in page.replace("http-equiv", "")
    assert page.count("</script>") == 1, "a text of the plan must not end the element"
    assert "<svg" in page
    assert "prefers-color-scheme:dark" in page
    assert "@media print" in page


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("verdict", "decision"), "Roll back", "verdict"),
        (("plan", "rule", "alpha"), 0.2, "plan"),
        (("scorecard", "metrics", 0, "p"), 0.5, "scorecard"),
        (("sums", "2026-01-07", "counted", "cells", "n", 0), 7, "sums 2026-01-07"),
        (("software", "numpy"), "0", "software"),
    ],
)
def test_a_change_is_named(path: tuple[Any, ...], value: Any, named: str) -> None:
    changed = document()
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(IntegrityError, match=named):
        recompute(changed)


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("verdict", "decision"), "Roll back", "verdict.decision"),
        (("verdict", "reason"), "Because.", "verdict.reason"),
        (("scorecard", "metrics", 0, "p"), 0.5, "ctr of treatment: p"),
        (("scorecard", "users", "control"), 1, "scorecard.users"),
        (("plan", "rule", "alpha"), 0.2, "plan"),
    ],
)
def test_hashes_made_anew_do_not_help(path: tuple[Any, ...], value: Any, named: str) -> None:
    changed = document()
    place: Any = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    changed = sealed({name: one for name, one in changed.items() if name not in ("sections", "sha256")})
    with pytest.raises(IntegrityError, match=named):
        recompute(changed)


def test_what_is_no_pack_is_named(tmp_path: Path) -> None:
    for name, text in (("a.json", "{}"), ("b.html", "<p>hello"), ("c.json", "{broken")):
        (tmp_path / name).write_text(text)
        with pytest.raises(SchemaError, match="no evidence pack"):
            recompute(tmp_path / name)
    with pytest.raises(SchemaError, match="can't be read"):
        recompute(tmp_path / "missing.json")


def test_cells_survive_as_plain_data_to_the_last_bit() -> None:
    before = cells(ROWS)
    after = cells_from_dict(json.loads(json.dumps(cells_to_dict(before))))
    assert after.keys.to_dict("list") == before.keys.to_dict("list")
    assert np.array_equal(after.means, before.means)
    assert np.array_equal(after.comoments, before.comoments)
    with pytest.raises(IntegrityError):
        cells_from_dict({"columns": []})


def test_no_cell_of_a_pack_is_about_few_users() -> None:
    rng = np.random.default_rng(1)
    rows = ROWS | {("control", "UZ"): users(rng, 3), ("treatment", "UZ"): users(rng, 400)}
    found = pooled(cells(rows), 10)
    assert set(found.keys["region"]) == {"US", "FR", "small regions"}, "with the smallest of the others"
    assert found.n.min() >= 10
    assert found.users == cells(rows).users
    assert set(pooled(cells(ROWS), 10).keys["region"]) == {"US", "FR", "KZ"}
