"""How often an audit of the clean version cries wolf, and whether it finds and places the planted leak: by simulation.

    recommendr --home HOME init && recommendr --home HOME synth bias
    python -m benchmarks.simulate_audit_panels --home HOME --out docs/benchmarks

The panel is drawn again with every seed. Against the clean version, personas who share histories must get the same
lists, and matched panels, whose histories differ by chance, must show a disparity in no more than the declared 5 % of
runs (family-wise). Against the version that leaks names, every panel must find the leak, in the block it was planted in
and on films whose cast shares the origin of the name. What is done is kept in ``--keep``; a second run goes on there.
"""

import argparse
import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.proportion import proportion_confint

from audit.judging import Comparison, judge
from audit.personas import build_panel
from audit.plan import CAST_ORIGIN, NAME_ORIGIN, AuditPlan
from audit.results import Verdict
from audit.runs.leaks import WHOLE, leak_table
from audit.runs.measuring import SHARED, Measured, measure
from audit.runs.swaps import Lists, swapped
from audit.runs.users import Row, compare_users
from audit.subject import Subject
from workspace.paths import Paths
from workspace.settings import Settings

Rows = list[dict[str, Any]]

CLEAN_TASTES: Final = 60
LEAKING_TASTES: Final = 200
PLANTED: Final = "planted.json"
DAY: Final = dt.date(2026, 3, 1)


def looked_at(subject: Subject, kind: str, seed: int, tastes: int, axes: tuple[str, ...]) -> dict[str, Any]:
    """Return what an audit of one drawn panel says: disparities, swaps that failed, blocks that leak."""
    plan = AuditPlan(
        title="simulation", index_version=subject.view.version, snapshot_id=subject.view.catalogue.snapshot_id,
        on=subject.on, panel=kind, tastes=tastes, axes=axes, film_axes=(CAST_ORIGIN,), seed=seed,
    )  # fmt: skip
    panel = build_panel(plan, subject.view)
    measured = measure(plan, panel, subject.view.films, subject.view.alive, subject.slates(panel, plan.k))
    rows = list(compare_users(measured))
    judged = judge([row.comparison for row in rows], in_family=[row.in_family for row in rows], alpha=plan.alpha)
    found = [row for row, one in zip(rows, judged, strict=True) if one.verdict is Verdict.DISPARITY]
    vectors = subject.user_vectors(panel)
    leaks = leak_table(
        vectors,
        subject.layout,
        measured.users.values(),
        measured.clusters,
        measured.strata,
        alpha=plan.alpha,
        seed=seed,
    )
    return {
        "users": len(panel),
        "tests": sum(row.comparison.p is not None for row in rows),
        "verdicts": Counter(str(one.verdict) for one in judged if one.verdict),
        "disparities": [_told(row) for row in found],
        "placed": sum(_is_placed(row) for row in found),
        "leaks": sorted({leak.block for leak in leaks if leak.carries and leak.axis == NAME_ORIGIN}),
        **_swaps(measured, subject, vectors),
    }


def _told(row: Row) -> str:
    column, found = row.column, row.comparison
    ratio = found.ratio if isinstance(found, Comparison) and found.ratio is not None else float("nan")
    return f"{row.axis.names[row.code]}: {column.measure} of {column.film_group or 'all'} × {ratio:.2f}"


def _is_placed(row: Row) -> bool:
    """Say whether a disparity lies where it was planted: more films with a cast of the name's own origin."""
    return row.column.film_group in {row.axis.names[row.code], row.axis.reference_name}


def _swaps(measured: Measured, subject: Subject, vectors: NDArray[np.float32]) -> dict[str, Any]:
    if measured.panel.kind != SHARED:
        return {"failed": [], "swap_blocks": []}
    panel = measured.panel
    lists = Lists(
        ids=panel.accounts["persona_id"].tolist(), film_ids=subject.film_ids, rows=measured.rows, vectors=vectors,
        take=subject.view.index.take, weights=subject.layout.spread(subject.weights), layout=subject.layout,
        allowed=lambda codes: subject.allowed(panel, codes),
    )  # fmt: skip
    found = swapped(panel.accounts, measured.clusters, lists, measured.plan.axes)
    return {
        "failed": [one.attribute for one in found if not one.passed],
        "swap_blocks": sorted({block for one in found if not one.passed for block, _ in one.leaking_blocks}),
    }


def as_markdown(rows: Rows, truth: dict[str, Any]) -> str:
    """Return the page of the figures."""
    body = []
    for job, words in (
        ("personas", "clean, shared histories"),
        ("matched", "clean, histories of their own"),
        ("leaking", "leaks names, shared histories"),
    ):
        own = [row for row in rows if row["job"] == job]
        if own:
            body.append(_line(words, own))
    leaking = [row for row in rows if row["job"] == "leaking"]
    said = Counter(one for row in leaking for one in (told.split(" × ")[0] for told in row["disparities"]))
    parts = [
        "# Panels drawn again\n",
        (
            "Written by `python -m benchmarks.simulate_audit_panels`. A run counts as wrong when it shows any "
            "*disparity* at the declared family-wise error of 5 %; intervals of that share are Clopper and Pearson's.\n"
        ),
        _table(
            ["version, panel", "runs", "users each", "tests each", "runs with a disparity", "share (95 %)",
             "runs with a failed swap", "runs with a leaking block"],
            body,
        ),
    ]  # fmt: skip
    if leaking:
        blocks = Counter(block for row in leaking for block in row["leaks"] if block != WHOLE)
        swaps = Counter(block for row in leaking for block in row["swap_blocks"])
        every = sum(len(row["disparities"]) for row in leaking)
        placed = sum(row["placed"] for row in leaking)
        parts.append(
            f"\nThe leak was planted in `{truth['leaking_block']}`. Blocks named by the proxy leak: "
            f"{_counted(blocks)}; by the swaps: {_counted(swaps)}. Of {every} disparities, {placed} are about films "
            "whose cast shares the origin of the name, or of the reference's.\n\n"
            + _table(["disparity", "runs of " + str(len(leaking))], [[one, n] for one, n in said.most_common(12)])
        )
    return "\n".join(parts)


def _line(words: str, own: Rows) -> list[object]:
    wrong = sum(bool(row["disparities"]) for row in own)
    low, high = proportion_confint(wrong, len(own), method="beta")
    tests, users = (sorted(row[name] for row in own)[len(own) // 2] for name in ("tests", "users"))
    return [
        words, len(own), f"{users:,}", tests, wrong, f"{wrong / len(own):.1%} ({low:.1%} to {high:.1%})",
        sum(bool(row["failed"]) for row in own), sum(bool(row["leaks"]) for row in own),
    ]  # fmt: skip


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"`{name}` in {n} runs" for name, n in counter.most_common()) or "none"


def _table(head: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    lines: list[Sequence[object]] = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def main() -> None:
    """Simulate what is not kept yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--leaking-seeds", type=int, default=6)
    parser.add_argument("--keep", type=Path, default=Path("audit-panels-simulated.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--limit-s", type=float, default=float("inf"), help="Stop after so many seconds.")
    chosen = parser.parse_args()
    settings = Settings(home=chosen.home)
    truth = json.loads((Paths(chosen.home).audit / PLANTED).read_bytes())
    rows: Rows = (
        [json.loads(line) for line in chosen.keep.read_text("utf-8").splitlines()] if chosen.keep.exists() else []
    )
    done = {(row["job"], row["seed"]) for row in rows}
    subjects = {
        version: Subject.open(settings, truth[version], truth["clean_snapshot_id"], DAY)
        for version in ("clean_version", "leaking_version")
    }
    jobs = [("leaking", seed) for seed in range(1, chosen.leaking_seeds + 1)]
    jobs += [(kind, seed) for seed in range(1, chosen.seeds + 1) for kind in ("matched", "personas")]
    began = time.perf_counter()
    for job, seed in jobs:
        if (job, seed) in done or time.perf_counter() - began > chosen.limit_s:
            continue
        if job == "leaking":
            found = looked_at(subjects["leaking_version"], "personas", seed, LEAKING_TASTES, (NAME_ORIGIN,))
        else:
            found = looked_at(subjects["clean_version"], job, seed, CLEAN_TASTES, (NAME_ORIGIN,))
        rows.append({"job": job, "seed": seed, **found})
        with chosen.keep.open("a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "audit-panels.md").write_text(as_markdown(rows, truth), encoding="utf-8")
    print(as_markdown(rows, truth))


if __name__ == "__main__":
    main()
