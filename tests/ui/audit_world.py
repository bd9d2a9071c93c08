"""An audit of nobody: findings with every verdict, a leak, withheld cells and hostile words, kept as a report."""

import datetime as dt
from pathlib import Path

from audit.plan import (
    CALIBRATION,
    CAST_ORIGIN,
    EXPOSURE,
    GENDER,
    NAME_ORIGIN,
    PRECISION,
    REACH,
    REGION,
    AuditPlan,
    save_plan,
)
from audit.report.document import build_document, report_bytes
from audit.results import Figure, Findings, GroupCount, Leak, Pooled, PopularityRow, Swap, Verdict
from workspace.files import write_bytes
from workspace.paths import Paths

NASTY = '<img src=x onerror="window.hacked=1"> **bold** [x](javascript:window.hacked=1)'
TITLE = "Names, spring"
FOUND_WORDS = "Films with a South Asian cast reach 31.0 % of personas with South Asian names and 56.0 % of the others."


def plan(version: str = "v000000000001", *, title: str = TITLE) -> AuditPlan:
    return AuditPlan(
        title=title, index_version=version, snapshot_id="c000000000001", on=dt.date(2026, 5, 1),
        axes=(NAME_ORIGIN, GENDER), film_axes=(CAST_ORIGIN,), references={GENDER: "man"},
    )  # fmt: skip


DISPARITY = Figure(
    measure=REACH, side="user", axis=NAME_ORIGIN, group="south_asian", reference="anglophone", film_axis=CAST_ORIGIN,
    film_group="south_asian", n=600, n_reference=600, value=0.31, interval=(0.27, 0.35), value_reference=0.56,
    ratio=0.5536, ratio_interval=(0.46, 0.66), difference=-0.25, difference_interval=(-0.3, -0.2), p=1e-12,
    p_adjusted=4e-11, detectable_ratio=0.84, in_family=True, verdict=Verdict.DISPARITY,
    method="Newcombe's interval; log-ratio interval", words=FOUND_WORDS,
)  # fmt: skip
FLAGGED = Figure(
    measure=EXPOSURE, side="user", axis=NAME_ORIGIN, group="african", reference="anglophone", film_axis=CAST_ORIGIN,
    film_group="african", n=600, n_reference=600, value=0.04, interval=(0.03, 0.05), value_reference=0.052,
    ratio=0.77, ratio_interval=(0.6, 1.01), difference=-0.012, difference_interval=(-0.03, 0.001), p=0.02,
    p_adjusted=0.11, detectable_ratio=0.7, history_share=0.05, gap=-0.01, gap_interval=(-0.02, 0.0), in_family=True,
    verdict=Verdict.FLAGGED, method="Welch's interval", words="African casts: a flag.",
)  # fmt: skip
PARITY = Figure(
    measure=PRECISION, side="user", axis=GENDER, group="woman", reference="man", n=1200, n_reference=1200, value=0.0712,
    interval=(0.066, 0.076), value_reference=0.0709, ratio=1.004, ratio_interval=(0.91, 1.1), difference=0.0003,
    difference_interval=(-0.006, 0.007), p=0.9, p_adjusted=1.0, detectable_ratio=1.12, in_family=True,
    verdict=Verdict.PARITY, method="paired", words="Precision is the same.",
)  # fmt: skip
UNCLEAR = Figure(
    measure=CALIBRATION, side="user", axis=GENDER, group="woman", reference="man", n=1200, n_reference=1200, value=0.9,
    interval=(0.7, 1.1), value_reference=0.8, ratio=1.125, ratio_interval=(0.7, 1.8), difference=0.1,
    difference_interval=(-0.2, 0.4), p=0.4, p_adjusted=0.8, detectable_ratio=1.7, in_family=True,
    verdict=Verdict.UNCLEAR, method="paired", words=NASTY,
)  # fmt: skip
SUPPRESSED = Figure(
    measure=REACH, side="user", axis=NAME_ORIGIN, group="slavic", reference="anglophone", film_axis=CAST_ORIGIN,
    film_group=NASTY, in_family=True, reason="suppressed: fewer than 10 users",
)  # fmt: skip
ZERO = Figure(
    measure=REACH, side="user", axis=NAME_ORIGIN, group="african", reference="anglophone", film_axis=CAST_ORIGIN,
    film_group="central_asian", n=600, n_reference=600, value=0.0, interval=(0.0, 0.006), value_reference=0.0,
    in_family=True, reason="not estimable: nobody of the reference was reached",
)  # fmt: skip
FILMS = Figure(
    measure="exposure_per_relevance", side="provider", axis=CAST_ORIGIN, group="south_asian", reference="anglophone",
    n=40, n_reference=310, value=0.8, interval=(0.6, 1.0), value_reference=1.02, ratio=0.78, ratio_interval=(0.55, 1.1),
    p=0.08, p_adjusted=0.2, detectable_ratio=0.62, method="bootstrap by film", reason="outside the declared family",
    words="Films with a South Asian cast.",
)  # fmt: skip


def findings(declared: AuditPlan | None = None, *, clean: bool = False) -> Findings:
    """Return findings; clean ones hold no disparity, no flag and no leak."""
    figures = (
        (PARITY, UNCLEAR, ZERO, FILMS) if clean else (DISPARITY, FLAGGED, PARITY, UNCLEAR, SUPPRESSED, ZERO, FILMS)
    )
    leaking = Swap(
        attribute=NAME_ORIGIN, pairs=1_200, differing=430, by_rule=2, declared=False,
        leaking_blocks=(("people", 0.0123), ("text", 0.0001)),
        examples=({"persona": "p1", "other": "p2", "films_before": ["f1", "f2"], "films_after": ["f1", "f3"],
                   "block": "people"},),
        passed=False, words="Of 1,200 pairs 430 got different lists: it leaks through people.",
    )  # fmt: skip
    gender = Swap(
        attribute=GENDER, pairs=1_200, differing=0, by_rule=0, declared=False, leaking_blocks=(), examples=(),
        passed=True, words="Of 1,200 pairs none got different lists.",
    )  # fmt: skip
    return Findings(
        plan=declared or plan(),
        subject={"index_version": "v000000000001", "manifest_checksum": "ab" * 32, "snapshot_id": "c000000000001",
                 "blocks": {"people": 64, "text": 384}, "weights": {"people": 0.2, "text": 0.8}, "encoder": "none",
                 "films": 600, "feature_code": "1", "code_version": "0.1.0", "built_at": "2026-05-01"},
        panel={"kind": "personas", "users": 2400, "tastes": 60, "slates": 2400, "short_slates": 3, "history_length": 20,
               "panel_hash": "cd" * 32},
        counts=(
            GroupCount(side="user", axis=GENDER, group="woman", n=1200, share=0.5, judged=True),
            GroupCount(side="user", axis=NAME_ORIGIN, group="slavic", n=None, share=None, judged=False, reason=NASTY),
            GroupCount(side="provider", axis=CAST_ORIGIN, group="unknown", n=12, share=0.02, judged=False,
                       reason="unknown is no group"),
        ),
        figures=figures,
        swaps=(gender,) if clean else (leaking, gender),
        leaks=tuple(
            Leak(axis=axis, block=block, auc=auc, interval=(auc - 0.03, auc + 0.03), groups=10, n=2400, p=0.5,
                 p_adjusted=1.0, carries=auc > 0.6 and not clean, words=f"{block}: {auc}")
            for axis, block, auc in ((NAME_ORIGIN, "all", 0.71), (NAME_ORIGIN, "people", 0.74), (GENDER, "all", 0.5))
        ),
        popularity=(
            PopularityRow(measure="arp", value=812.5, interval=(790.0, 830.0), convention="views in two years"),
            PopularityRow(measure="gini", value=0.83, interval=None, convention="biased, n = films"),
        ),
        pooled=(
            Pooled(axis=REGION, measure=REACH, group="SE", reference="NO", film_axis=CAST_ORIGIN,
                   film_group="south_asian", ratio=0.98, interval=(0.9, 1.07), p=0.6, heterogeneity_p=0.2,
                   markets=({"market": "nordic", "n": 400, "ratio": 0.95, "low": 0.8, "high": 1.1},
                            {"market": "asia", "n": 300, "ratio": None, "low": None, "high": None}),
                   words="The markets agree."),
        ),
        limits=("Nothing was asked about real names.",), withheld=3,
    )  # fmt: skip


def keep(home: Path, found: Findings) -> str:
    """Keep a report as a run does; return its id."""
    document = build_document(found)
    paths = Paths(home)
    save_plan(paths, found.plan)
    folder = paths.audit / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    write_bytes(folder / f"{document['report_id']}.json", report_bytes(document))
    return str(document["report_id"])
