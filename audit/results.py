"""What an audit found, as data; reports and pages present it.

Every figure carries its units, its interval, what it was held against, the verdict in words, and the smallest
disparity it could have seen: a verdict without that last number can't be defended.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Any, Final, Literal, Self

from audit.plan import AuditPlan
from workspace.errors import SchemaError

Interval = tuple[float, float]
Side = Literal["user", "provider"]
INTERVALS: Final = ("interval", "ratio_interval", "difference_interval", "gap_interval")
"""Fields that hold an interval, in all the rows below."""


class Verdict(StrEnum):
    """What a figure says."""

    DISPARITY = "disparity"
    PARITY = "parity shown"
    FLAGGED = "flagged"
    UNCLEAR = "not enough evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measure of one group against its reference.

    A figure without a verdict says why in ``reason``: suppressed, below the least share, not estimable, the reference
    itself, or outside the declared family.

    Args:
        measure: Of `audit.plan.MEASURES`, or of the provider side: ``exposure_per_relevance``, ``exposure``.
        side: ``user``: the group is of users; ``provider``: of films.
        axis: The axis of the group, for example ``name_origin`` or ``name_origin × gender``.
        group: The group, values joined by `CROSS` for intersections.
        reference: The group it is held against.
        film_axis: The film axis of ``reach`` and ``exposure`` by user group; empty elsewhere.
        film_group: Its group.
        n: Units of the group (users, or films on the provider side); None when withheld.
        n_reference: Units of the reference.
        value: The measure in the group; None when withheld or not estimable.
        interval: Its interval at 1 − alpha.
        value_reference: The measure in the reference.
        ratio: Value over reference.
        ratio_interval: Its interval at the level that matches the adjusted p.
        difference: Value minus reference.
        difference_interval: Its interval.
        p: Of "no difference", before adjustment.
        p_adjusted: After it: Holm inside the family, Benjamini–Hochberg outside.
        detectable_ratio: The ratio furthest from 1, on the side of the figure, that this row would have missed with a
            chance of one in five: what it could not have seen lies between it and 1.
        history_share: H, the film group's share in the histories of the group (``exposure`` only).
        gap: E − H.
        gap_interval: Its interval.
        in_family: Whether the test was declared confirmatory.
        verdict: What it says; None with a reason.
        reason: Why there is no verdict, or what the verdict rests on.
        method: Estimator and interval in words.
        words: The whole row as a sentence for somebody who reads no table.
    """

    measure: str
    side: Side
    axis: str
    group: str
    reference: str
    film_axis: str = ""
    film_group: str = ""
    n: int | None = None
    n_reference: int | None = None
    value: float | None = None
    interval: Interval | None = None
    value_reference: float | None = None
    ratio: float | None = None
    ratio_interval: Interval | None = None
    difference: float | None = None
    difference_interval: Interval | None = None
    p: float | None = None
    p_adjusted: float | None = None
    detectable_ratio: float | None = None
    history_share: float | None = None
    gap: float | None = None
    gap_interval: Interval | None = None
    in_family: bool = False
    verdict: Verdict | None = None
    reason: str = ""
    method: str = ""
    words: str = ""

    @property
    def key(self) -> str:
        """Name of the row within its report, for links: ``side/measure/axis/group/film_axis/film_group``."""
        return f"{self.side}/{self.measure}/{self.axis}/{self.group}/{self.film_axis}/{self.film_group}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """What swapping one attribute changed, histories alike: zero tolerance for names, genders and ages.

    Args:
        attribute: What was swapped, of `audit.plan.USER_AXES`.
        pairs: Pairs of personas that differ in nothing else.
        differing: Pairs whose lists differ.
        by_rule: Of those, pairs that differ only because a rule (availability, law, age) forbids a film to one of them.
        declared: Whether the recommender declares that it uses this attribute (a market's mean film); then differing
            pairs are stated and no leak.
        leaking_blocks: Blocks whose score terms differ within pairs, with the mean absolute difference, largest first.
        examples: Some differing pairs: ``persona other films_before films_after block``.
        passed: No pair differs but by rule, or the use is declared.
        words: In a sentence.
    """

    attribute: str
    pairs: int
    differing: int
    by_rule: int
    declared: bool
    leaking_blocks: tuple[tuple[str, float], ...]
    examples: tuple[Mapping[str, Any], ...]
    passed: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """How well a group can be told from the user vector, by block.

    Args:
        axis: The attribute predicted.
        block: The block it is predicted from; ``all`` is the whole vector.
        auc: Area under the ROC curve, one group against the rest, mean over groups weighted by size; 0.5 is chance.
        interval: Its interval, by persona.
        groups: How many groups.
        n: Personas.
        p: Of "0.5".
        p_adjusted: After Holm over all blocks and axes.
        carries: The interval, adjusted, lies above 0.5.
        words: In a sentence.
    """

    axis: str
    block: str
    auc: float | None
    interval: Interval | None
    groups: int
    n: int
    p: float | None
    p_adjusted: float | None
    carries: bool
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityRow:
    """One measure of what the whole panel was shown.

    Args:
        measure: ``arp``, ``aplt``, ``gini``, ``coverage``, ``tail_coverage``.
        value: The figure.
        interval: Its interval by user; None where it is a fact of the panel.
        convention: How it was computed, for example which Gini.
    """

    measure: str
    value: float | None
    interval: Interval | None
    convention: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """One comparison pooled over markets.

    Args:
        axis: User axis compared, or ``index`` for the market's own index against the general one.
        measure: The measure.
        group: The group.
        reference: The group it is held against.
        film_axis: As of `Figure`.
        film_group: As of `Figure`.
        ratio: Mantel–Haenszel risk ratio.
        interval: Its interval (Greenland & Robins).
        p: Of "1".
        heterogeneity_p: Of "the same in all markets" (Cochran's Q on log ratios).
        markets: Market, n, ratio, low and high of each.
        words: In a sentence.
    """

    axis: str
    measure: str
    group: str
    reference: str
    film_axis: str
    film_group: str
    ratio: float | None
    interval: Interval | None
    p: float | None
    heterogeneity_p: float | None
    markets: tuple[Mapping[str, Any], ...]
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCount:
    """How many units a group has; unknowns are a group of their own.

    Args:
        side: ``user`` or ``provider``.
        axis: The axis.
        group: The group, ``unknown`` for units without the attribute.
        n: Units; None when withheld.
        share: Of all; None when withheld.
        judged: Whether the group is large enough to be judged.
        reason: Why not.
    """

    side: Side
    axis: str
    group: str
    n: int | None
    share: float | None
    judged: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All an audit found.

    Args:
        plan: What was declared.
        subject: Facts of what was audited: ``index_version manifest_checksum snapshot_id blocks weights encoder films
            feature_code code_version built_at``.
        panel: Facts of the panel: ``kind users tastes slates short_slates history_length panel_hash``.
        counts: Group sizes, unknowns among them.
        figures: Every comparison, judged or not.
        swaps: Invariance under swapped attributes; empty for observed users.
        leaks: Proxy leak by axis and block.
        popularity: What the panel as a whole was shown.
        pooled: By market.
        limits: What this audit could not have seen, a sentence each.
        withheld: Cells withheld for privacy.
    """

    plan: AuditPlan
    subject: Mapping[str, Any]
    panel: Mapping[str, Any]
    counts: tuple[GroupCount, ...]
    figures: tuple[Figure, ...]
    swaps: tuple[Swap, ...] = ()
    leaks: tuple[Leak, ...] = ()
    popularity: tuple[PopularityRow, ...] = ()
    pooled: tuple[Pooled, ...] = ()
    limits: tuple[str, ...] = ()
    withheld: int = 0

    @property
    def disparities(self) -> tuple[Figure, ...]:
        """The figures that show a disparity."""
        return tuple(one for one in self.figures if one.verdict is Verdict.DISPARITY)

    @property
    def found(self) -> bool:
        """Whether anything was found: a disparity, or a swap that was not passed."""
        return bool(self.disparities) or any(not swap.passed for swap in self.swaps)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for canonical JSON."""
        plain: dict[str, Any] = {
            name: [asdict(one) for one in getattr(self, name)]
            for name in ("counts", "figures", "swaps", "leaks", "popularity", "pooled")
        }
        return {
            "plan": self.plan.to_dict(),
            "subject": dict(self.subject),
            "panel": dict(self.panel),
            **plain,
            "limits": list(self.limits),
            "withheld": self.withheld,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore from `to_dict`, or from JSON of it.

        Raises:
            SchemaError: When a part is missing or unknown.
            IntegrityError: When the plan in it was changed.
        """
        try:
            rows = {name: tuple(_row(kind, one) for one in values[name]) for name, kind in _ROWS.items()}
            return cls(
                plan=AuditPlan.from_dict(values["plan"]),
                subject=dict(values["subject"]),
                panel=dict(values["panel"]),
                limits=tuple(values["limits"]),
                withheld=int(values["withheld"]),
                **rows,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaError(f"the findings can't be read: {error}", "must have the parts of an audit") from error


_ROWS: Final[dict[str, Any]] = {
    "counts": GroupCount,
    "figures": Figure,
    "swaps": Swap,
    "leaks": Leak,
    "popularity": PopularityRow,
    "pooled": Pooled,
}


def _row(kind: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - one of the rows above
    strange = sorted(set(values) - {one.name for one in fields(kind)})
    if strange:
        raise ValueError(f"unknown fields {', '.join(strange)}")
    row: dict[str, Any] = dict(values)
    for name in INTERVALS:
        if name in row:
            row[name] = _interval(row[name])
    for name in ("examples", "markets"):
        if name in row:
            row[name] = tuple(row[name])
    if row.get("verdict"):
        row["verdict"] = Verdict(row["verdict"])
    if "leaking_blocks" in row:
        row["leaking_blocks"] = tuple((str(block), float(value)) for block, value in row["leaking_blocks"])
    return kind(**row)


def _interval(value: Any) -> Interval | None:  # noqa: ANN401 - a list of JSON, or a tuple
    return None if value is None else (float(value[0]), float(value[1]))
