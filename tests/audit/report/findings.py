"""Findings as an audit would hand them over, made by hand: small, and with names that want to do harm."""

import datetime as dt
from typing import Any

from audit.plan import AuditPlan
from audit.results import Figure, Findings, GroupCount, Leak, Pooled, PopularityRow, Swap, Verdict

HOSTILE = "<script>alert(1)</script>\u202eevil\x1b[2J"
FACTS: dict[str, Any] = {
    "evidence": {
        "users": 486,
        "method": "listwise softmax",
        "held_out_precision_at_5": 0.54,
        "importance": {"audience": 0.9, "keyword": 0.6, "text": 0.08, "recency": 0.02, "people": 0.0},
    },
    "pooling": {"half_life_days": 1e9, "shrinkage": 5.0},
    "segments": ["market"],
}


def plan(**fields: Any) -> AuditPlan:
    """A small plan."""
    given: dict[str, Any] = {
        "title": "Names in the autumn version",
        "index_version": "v0123456789ab",
        "snapshot_id": "c0123456789ab",
        "on": dt.date(2025, 10, 27),
        "axes": ("name_origin", "gender"),
        "film_axes": ("cast_origin",),
        "references": {"gender": "male"},
    }
    return AuditPlan(**given | fields)


def figure(**fields: Any) -> Figure:
    """A figure that shows parity."""
    given: dict[str, Any] = {
        "measure": "hit_rate",
        "side": "user",
        "axis": "gender",
        "group": "female",
        "reference": "male",
        "n": 200,
        "n_reference": 200,
        "value": 0.5,
        "interval": (0.43, 0.57),
        "value_reference": 0.5,
        "ratio": 1.0,
        "ratio_interval": (0.85, 1.18),
        "difference": 0.0,
        "difference_interval": (-0.1, 0.1),
        "p": 1.0,
        "p_adjusted": 1.0,
        "detectable_ratio": 0.75,
        "in_family": True,
        "verdict": Verdict.PARITY,
        "method": "Wilson; Katz",
        "words": "Women and men were served alike.",
    }
    return Figure(**given | fields)


EXAMPLE = {"persona": "p1", "other": "p2", "films_before": ["f1", HOSTILE], "films_after": ["f2"], "block": "people"}
DISPARITY = figure(
    measure="reach",
    axis="name_origin",
    group="east_asian",
    reference="anglophone",
    film_axis="cast_origin",
    film_group="east_asian",
    value=0.8,
    interval=(0.74, 0.85),
    value_reference=0.4,
    ratio=2.0,
    ratio_interval=(1.6, 2.5),
    p=1e-9,
    p_adjusted=1e-7,
    detectable_ratio=1.4,
    verdict=Verdict.DISPARITY,
    words="People with East Asian names were shown more films with an East Asian cast.",
)
WITHHELD = figure(
    group="diverse", n=None, n_reference=200, value=None, interval=None, ratio=None, ratio_interval=None, p=None,
    p_adjusted=None, difference=None, difference_interval=None, detectable_ratio=None, verdict=None,
    reason="withheld: fewer than 10 users", words="Withheld.",
)  # fmt: skip


def findings(*, clean: bool = False, **fields: Any) -> Findings:
    """All parts filled; with a disparity and a leak unless it is to be clean."""
    leak = Swap(
        attribute="name_origin", pairs=600, differing=0 if clean else 340, by_rule=0, declared=False,
        leaking_blocks=() if clean else (("people", 0.31),),
        examples=() if clean else (EXAMPLE,),
        passed=clean, words="No list changed." if clean else "340 of 600 lists changed.",
    )  # fmt: skip
    given: dict[str, Any] = {
        "plan": plan(),
        "subject": {
            "index_version": "v0123456789ab",
            "manifest_checksum": "ab" * 32,
            "snapshot_id": "c0123456789ab",
            "blocks": ["text", "keyword", "people", "audience", "recency"],
            "weights": {"audience": 62.2, "keyword": 2.9, "text": 5.1, "recency": 0.15, "people": 0.0},
            "encoder": "all-MiniLM-L6-v2 float32",
            "films": 600,
            "feature_code": 1,
            "code_version": "0.1.0",
            "built_at": "2025-10-20T08:00:00+00:00",
        },
        "panel": {
            "kind": "personas", "users": 400, "tastes": 60, "slates": 400, "short_slates": 0, "history_length": 20,
            "panel_hash": "cd" * 32,
        },
        "counts": (
            GroupCount(side="user", axis="gender", group="female", n=200, share=0.5, judged=True),
            GroupCount(side="user", axis="gender", group="male", n=200, share=0.49, judged=True),
            GroupCount(side="user", axis="gender", group="rare", n=4, share=0.01, judged=False, reason="below 2 %"),
            GroupCount(side="user", axis="gender", group="unknown", n=7, share=0.0, judged=False, reason="unknown"),
        ),
        "figures": (
            *(() if clean else (DISPARITY,)),
            figure(),
            figure(measure="precision_at_k", value=0.2, value_reference=0.21, ratio=0.95, ratio_interval=(0.7, 1.3),
                   p=0.6, verdict=Verdict.UNCLEAR),
            WITHHELD,
            figure(side="provider", axis="cast_origin", measure="exposure", group="east_asian", reference="anglophone",
                   n=40, n_reference=300, value=0.02, value_reference=0.04, ratio=0.5, in_family=False, verdict=None,
                   reason="outside the declared family"),
        ),
        "swaps": (leak,),
        "leaks": (
            Leak(axis="name_origin", block="people", auc=0.5 if clean else 0.93, interval=(0.9, 0.95), groups=10, n=400,
                 p=0.001, p_adjusted=0.002, carries=not clean, words="Cast and crew tell the origin of a name."),
        ),
        "popularity": (
            PopularityRow(measure="gini", value=0.71, interval=None, convention="n/(n − 1), films never shown count"),
            PopularityRow(measure="arp", value=812.5, interval=(790.0, 835.0), convention="votes"),
        ),
        "pooled": (
            Pooled(axis="gender", measure="hit_rate", group="female", reference="male", film_axis="", film_group="",
                   ratio=1.01, interval=(0.9, 1.1), p=0.8, heterogeneity_p=0.4,
                   markets=({"market": "central_europe", "n": 200, "ratio": 1.0, "low": 0.8, "high": 1.2},
                            {"market": HOSTILE, "n": None, "ratio": None, "low": None, "high": None}),
                   words="Alike in all markets."),
        ),
        "limits": (f"Films such as {HOSTILE} were not looked at one by one.",),
        "withheld": 1,
    }  # fmt: skip
    return Findings(**given | fields)
