"""Compare the arms of somebody else's A/B data: any CSV or Parquet file of one row a unit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from experiments.estimates import Estimate
from experiments.health import Srm, srm
from experiments.moments import Moments, merge
from experiments.multiplicity import adjust
from experiments.statistics import Method, cuped, ratio, skew_warning, stratified, welch
from experiments.units import Groups, Roles, UnitFile
from workspace.errors import InvalidValueError, NotEstimableError, UnknownError

ALPHA: Final = 0.05
_LEAST_UNITS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricColumns:
    """What one metric is computed from.

    Args:
        metric: Column of the outcome, or of a ratio's numerator.
        denominator: Column of a ratio's denominator.
        covariate: Column of the outcome's covariate from before the experiment.
        covariate_denominator: Column of the covariate's own denominator.
    """

    metric: str
    denominator: str | None = None
    covariate: str | None = None
    covariate_denominator: str | None = None

    def __post_init__(self) -> None:
        if self.covariate_denominator is not None and (self.covariate is None or self.denominator is None):
            hint = "drop it, or name a denominator and a covariate as well"
            raise InvalidValueError("a denominator of the covariate", "needs a ratio with a covariate", hint)

    @property
    def outcome(self) -> tuple[str, ...]:
        """Columns without the covariate."""
        return (self.metric,) if self.denominator is None else (self.metric, self.denominator)

    @property
    def adjusted(self) -> tuple[str | float, ...]:
        """Columns as `cuped` takes them; a covariate without a denominator of its own is one over 1."""
        if self.covariate is None:
            return self.outcome
        if self.denominator is None:
            return (self.metric, self.covariate)
        return (
            *self.outcome,
            self.covariate,
            1.0 if self.covariate_denominator is None else self.covariate_denominator,
        )

    @property
    def below(self) -> frozenset[str]:
        """Denominators."""
        return frozenset(name for name in (self.denominator, self.covariate_denominator) if name is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of one variant against control.

    Args:
        name: Column of the metric.
        denominator: Column of its denominator.
        covariate: Column of its covariate, when this figure is adjusted by it.
        variant: The arm.
        control: The arm it is held against.
        n_control: Usable units of control.
        n_variant: Usable units of the variant.
        estimate: The comparison; None when it is not estimable.
        reason: Why it is not.
        p_adjusted: By Holm, over all variants and metrics of the same kind of figure.
        beside: Whether it is the raw figure beside an adjusted one.
        warning: Why Welch's test should not be trusted here.
    """

    name: str
    denominator: str | None
    covariate: str | None
    variant: str
    control: str
    n_control: int
    n_variant: int
    estimate: Estimate | None
    reason: str | None
    p_adjusted: float | None
    beside: bool
    warning: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data; what is not estimable is None, with its reason."""
        found: dict[str, Any] = {} if self.estimate is None else self.estimate.to_dict()
        figures = {key: found.get(key) for key in _FIGURES}
        intervals = {"ci95": found.get("ci"), "rel_ci95": found.get("rel_ci")}
        own = {key: value for key, value in asdict(self).items() if key != "estimate"}
        return {**own, "n": self.n_control + self.n_variant, **figures, **intervals}


_FIGURES: Final = ("mean_control", "mean_variant", "diff", "se", "statistic", "rel", "p", "df", "cohen_d", "method")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What a file says about its arms.

    Args:
        file: Its name.
        rows: Its rows.
        arms: Units by arm, whether or not their metrics are usable.
        metrics: Every metric of every variant; the adjusted figure first, the raw one beside it next.
        srm: The sample-ratio test; None without weights.
        srm_reason: Why there is none.
        left_out: Rows that were left out, by reason.
    """

    file: str
    rows: int
    arms: dict[str, int]
    metrics: tuple[Compared, ...]
    srm: Srm | None
    srm_reason: str | None
    left_out: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data."""
        return {
            "file": self.file,
            "rows": self.rows,
            "arms": dict(self.arms),
            "srm": None if self.srm is None else self.srm.to_dict(),
            "srm_reason": self.srm_reason,
            "metrics": [one.to_dict() for one in self.metrics],
            "correction": "holm",
            "left_out": dict(self.left_out),
        }


def compare(
    path: Path,
    *,
    variant_col: str,
    control: str,
    metrics: Sequence[MetricColumns],
    region_col: str | None = None,
    unit_col: str | None = None,
    weights: Mapping[str, float] | Sequence[float] | None = None,
) -> Comparison:
    """Compare every arm of a file with its control.

    Args:
        path: CSV (plain or gzip, UTF-8, delimited by comma, semicolon, tab or bar) or Parquet, one row a unit.
        variant_col: Column of the arm.
        control: Name of the control among the arms.
        metrics: What to compare.
        region_col: Column of the strata; a region without two units in both arms is left out and counted.
        unit_col: Column of the unit's id; a unit in two arms is left out and counted.
        weights: Intended shares, by arm, or in order: control, then the other arms by name.

    Raises:
        SchemaError: When the file can't be read, or a column is missing or holds no numbers.
        UnknownError: When the control is not among the arms.
        InvalidValueError: When there is no other arm, weights are wrong, or a unit has several rows in one arm.
    """
    with UnitFile(path, Roles(variant=variant_col, region=region_col, unit=unit_col)) as file:
        arms = _arms(file, variant_col, control)
        ratio_test = None if weights is None else srm(*_ordered(arms, weights))
        found: list[Compared] = []
        left_out: dict[str, int] = {}
        for one in metrics:
            for compared, reasons in _metric(file, one, tuple(arms)):
                found.append(compared)
                # A row that several figures can't use is one row.
                left_out |= {reason: max(rows, left_out.get(reason, 0)) for reason, rows in reasons.items()}
        return Comparison(
            file=path.name,
            rows=file.rows,
            arms=arms,
            metrics=_corrected(found),
            srm=ratio_test,
            srm_reason="no intended weights were given" if ratio_test is None else None,
            left_out=left_out,
        )


def _arms(file: UnitFile, column: str, control: str) -> dict[str, int]:
    """Return units by arm, control first."""
    arms = file.arms()
    if control not in arms:
        told = ", ".join(arms) or "none, for there is no usable row"
        raise UnknownError(f"control == {control!r}", f"must be an arm of {column!r}", f"the arms are {told}")
    if len(arms) == 1:
        hint = "name a file that has a second arm"
        raise NotEstimableError(f"a comparison within {column!r}", f"{control!r} is the only arm", hint)
    return {control: arms[control]} | arms


def _ordered(
    arms: Mapping[str, int], weights: Mapping[str, float] | Sequence[float]
) -> tuple[dict[str, int], dict[str, float]]:
    if isinstance(weights, Mapping):
        return dict(arms), dict(weights)
    if len(weights) != len(arms):
        hint = f"give one weight an arm, in the order {', '.join(arms)}"
        raise InvalidValueError(f"{len(weights)} weights for {len(arms)} arms", "must be as many", hint)
    return dict(arms), dict(zip(arms, weights, strict=True))


def _metric(file: UnitFile, columns: MetricColumns, arms: tuple[str, ...]) -> list[tuple[Compared, dict[str, int]]]:
    """Return one metric of every variant, variant by variant, each figure with the rows it could not use."""
    figures: list[tuple[str | float, ...]] = [columns.outcome]
    if columns.covariate is not None:
        figures.insert(0, columns.adjusted)
    groups = [file.groups(chosen, below=columns.below) for chosen in figures]
    skewness = _skewness(file, columns, groups[-1])
    out = []
    for variant in arms[1:]:
        for at, found in enumerate(groups):
            adjusted = columns.covariate is not None and at == 0
            pair = (arms[0], variant)
            compared, left_out = _compared(
                columns, found, pair, adjusted=adjusted, by_region=file.roles.region is not None, skewness=skewness
            )
            out.append((compared, found.left_out | left_out))
    return out


def _compared(
    columns: MetricColumns,
    groups: Groups,
    pair: tuple[str, str],
    *,
    adjusted: bool,
    by_region: bool,
    skewness: Mapping[str, float],
) -> tuple[Compared, dict[str, int]]:
    strata, left_out = _strata(groups, pair, by_region=by_region)
    estimate, reason, warning = None, None, None
    try:
        estimate = _estimate(columns, *strata, adjusted=adjusted, by_region=by_region)
    except NotEstimableError as error:
        reason = str(error)
    n_control, n_variant = (int(sum(one.n for one in arm)) for arm in strata)
    if estimate is not None and all(arm in skewness for arm in pair):
        warning = skew_warning(n_control, n_variant, skewness[pair[0]], skewness[pair[1]])
    compared = Compared(
        name=columns.metric,
        denominator=columns.denominator,
        covariate=columns.covariate if adjusted else None,
        variant=pair[1],
        control=pair[0],
        n_control=n_control,
        n_variant=n_variant,
        estimate=estimate,
        reason=reason,
        p_adjusted=None,
        beside=columns.covariate is not None and not adjusted,
        warning=warning,
    )
    return compared, left_out


def _strata(
    groups: Groups, pair: tuple[str, str], *, by_region: bool
) -> tuple[tuple[list[Moments], list[Moments]], dict[str, int]]:
    """Return the moments of both arms by region, and the units of regions that can't be compared."""
    kept: tuple[list[Moments], list[Moments]] = ([], [])
    left_out: dict[str, int] = {}
    for region in sorted({region for arm, region in groups.moments if arm in pair}):
        found = [groups.moments.get((arm, region)) for arm in pair]
        few = [arm for arm, one in zip(pair, found, strict=True) if one is None or one.n < _LEAST_UNITS]
        if by_region and few:
            reason = f"region {region!r} has fewer than {_LEAST_UNITS} units in {' and '.join(map(repr, few))}"
            left_out[reason] = int(sum(one.n for one in found if one is not None))
            continue
        for moments, one in zip(kept, found, strict=True):
            moments.extend([] if one is None else [one])
    return kept, left_out


def _estimate(
    columns: MetricColumns, controls: list[Moments], variants: list[Moments], *, adjusted: bool, by_region: bool
) -> Estimate:
    for arm, name in ((controls, "control"), (variants, "the variant")):
        if not arm:
            what = "any region" if by_region else name
            raise NotEstimableError(f"a comparison without usable units in {what}", hint="see what was left out")
    method: Method = "cuped" if adjusted else ("mean" if columns.denominator is None else "ratio")
    if by_region:
        return stratified(controls, variants, method=method, alpha=ALPHA)
    plain = {"cuped": cuped, "mean": welch, "ratio": ratio}[method]
    return plain(controls[0], variants[0], alpha=ALPHA)


def _skewness(file: UnitFile, columns: MetricColumns, groups: Groups) -> dict[str, float]:
    """Return the skewness of a unit's linearised value by arm, over all regions."""
    centres = {}
    for arm in sorted({arm for arm, _ in groups.moments}):
        whole = merge([one for (name, _), one in groups.moments.items() if name == arm])
        if columns.denominator is None:
            centres[arm] = (float(whole.means[0]), 0.0)
        elif whole.means[1] != 0:
            centres[arm] = (0.0, float(whole.means[0] / whole.means[1]))
    return file.skewness(columns.outcome, centres, below=columns.below) if centres else {}


def _corrected(found: list[Compared]) -> tuple[Compared, ...]:
    """Return the comparisons with p adjusted by Holm, the figures that are judged and those beside them apart."""
    corrected = list(found)
    for beside in (False, True):
        family = [at for at, one in enumerate(found) if one.beside == beside and one.estimate is not None]
        p = [estimate.p for at in family if (estimate := found[at].estimate) is not None]
        if family:
            for at, value in zip(family, adjust(p, method="holm"), strict=True):
                corrected[at] = replace(found[at], p_adjusted=float(value))
    return tuple(corrected)
