"""What the statistics of experiments keep of what they promise: error, coverage, power, by simulation.

    python -m benchmarks.simulate_experiments --out docs/benchmarks

Users are drawn with replacement from simulated populations, so that what is true is known exactly, and every figure
goes through the functions that judge experiments. Each has its Monte-Carlo error beside it and is held against the
limit that was set before. Takes about ten minutes on one core.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from benchmarks.marked_pages import insert
from benchmarks.simulated_users import (
    A_DAY,
    DAYS,
    POPULATION,
    before_and_after,
    new_users,
    returning_users,
    shape,
)
from experiments.estimates import Estimate
from experiments.health import srm
from experiments.moments import Moments
from experiments.multiplicity import adjust
from experiments.power import sample_size
from experiments.sequential import boundaries, confidence_sequence_of
from experiments.statistics import cuped, ratio, skew_warning, stratified, welch

Floats = NDArray[np.float64]

REPEATS: Final = 10_000
ALPHA: Final = 0.05
SPLITS: Final = {"50/50": (5_000, 5_000), "10/10": (1_000, 1_000), "10/90": (9_000, 1_000)}
SPENDINGS: Final = ("obrien_fleming", "pocock", "alpha_t2")
PACKAGES: Final = ("numpy", "scipy", "statsmodels")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One simulated figure.

    Args:
        section: What it is about.
        name: Which one.
        value: What came out.
        error: Its Monte-Carlo standard error.
        least: Lower limit, or None.
        most: Upper limit, or None.
        excused: Why a value outside is not a failure: the warning that is shown.
        note: What else a reader must know.
    """

    section: str
    name: str
    value: float
    error: float
    least: float | None = None
    most: float | None = None
    excused: str = ""
    note: str = ""

    @property
    def meets(self) -> bool | None:
        """Whether the value is inside its limits; None when it has none."""
        if self.least is None and self.most is None:
            return None
        low = -np.inf if self.least is None else self.least
        high = np.inf if self.most is None else self.most
        return bool(low <= self.value <= high)

    @property
    def by_chance(self) -> bool:
        """Whether the value is outside its limits by less than two Monte-Carlo errors."""
        low = -np.inf if self.least is None else self.least - 2 * self.error
        high = np.inf if self.most is None else self.most + 2 * self.error
        return self.meets is False and bool(low <= self.value <= high)


def share(section: str, name: str, hits: NDArray[np.bool_], **limits: float | str | None) -> Figure:
    """Return the share of repetitions in which something happened."""
    rate = float(hits.mean())
    return Figure(section=section, name=name, value=rate, error=float(np.sqrt(rate * (1 - rate) / len(hits))), **limits)  # type: ignore[arg-type]


SHAPES: Final = ("ctr", "thumbs_down_rate", "focus_s", "focus_s_uncapped", "survey_score", "engagement")


def type_one(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """Both arms are of one population: how often they differ."""
    for name in SHAPES:
        users = shape(name)
        for split, (n_control, n_variant) in SPLITS.items():
            p = np.array([ratio(users.draw(n_control, rng), users.draw(n_variant, rng)).p for _ in range(repeats)])
            warned = np.mean([
                skew_warning(n_control, n_variant, users.skewness(n_control, rng), users.skewness(n_variant, rng))
                is not None
                for _ in range(min(repeats, 300))
            ])  # fmt: skip
            note = f"warns in {warned:.0%} of the repetitions"
            excused = note if warned >= 0.5 else ""
            yield share(
                "False alarms at 5 %", f"{name}, {split}", p < ALPHA,
                least=0.045, most=0.055, note=note, excused=excused,
            )  # fmt: skip


def coverage(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """How often the 95 % intervals hold what is true."""
    section, limits = "Coverage of 95 % intervals", {"least": 0.945, "most": 0.955}
    control, variant = shape("engagement"), shape("engagement", 0.06)
    found = [(control.draw(2_000, rng), variant.draw(2_000, rng)) for _ in range(repeats)]
    truth = float(variant.means[0] - control.means[0])
    means = [welch(*pair) for pair in found]
    yield share(section, "mean (Welch)", _holds(means, truth), **limits)
    lift = truth / float(control.means[0])
    yield share(section, "mean, relative (Fieller)", _holds(means, lift, relative=True), **limits)
    ratios = [ratio(*pair) for pair in found]
    yield share(section, "ratio", _holds(ratios, variant.ratio - control.ratio), **limits)
    lift = variant.ratio / control.ratio - 1
    yield share(section, "ratio, relative (Fieller)", _holds(ratios, lift, relative=True), **limits)
    yield from _coverage_cuped(section, repeats, rng, limits)
    yield from _coverage_stratified(section, repeats, rng, limits)


def _coverage_cuped(section: str, repeats: int, rng: np.random.Generator, limits: dict[str, float]) -> Iterator[Figure]:
    for name, columns, lift in (("CUPED", 2, 0.06), ("CUPED of ratios", 4, 0.06)):
        control, variant = before_and_after(columns), before_and_after(columns, lift)
        estimates = [cuped(control.draw(2_000, rng), variant.draw(2_000, rng)) for _ in range(repeats)]
        of = (lambda one: one.ratio) if columns == 4 else (lambda one: float(one.means[0]))
        yield share(section, name, _holds(estimates, of(variant) - of(control)), **limits)
        yield share(
            section, f"{name}, relative (Fieller)",
            _holds(estimates, of(variant) / of(control) - 1, relative=True), **limits,
        )  # fmt: skip


def _coverage_stratified(
    section: str, repeats: int, rng: np.random.Generator, limits: dict[str, float]
) -> Iterator[Figure]:
    """Regions differ in level and in their split: what a pooled comparison takes for an effect."""
    levels, splits = (1.0, 1.5, 2.0, 3.0, 5.0), ((900, 100), (400, 200), (500, 500), (300, 300), (100, 400))
    users, effect = shape("engagement"), 0.6
    estimates, truths, pooled = [], [], []
    for _ in range(repeats):
        arms = []
        for level, (n_control, n_variant) in zip(levels, splits, strict=True):
            arms.append([
                Moments.from_sums(one.n, one.means * [level, 1.0] + [added, 0.0], one.comoments * _scale(level))
                for one, added in ((users.draw(n_control, rng), 0.0), (users.draw(n_variant, rng), effect))
            ])  # fmt: skip
        controls, variants = ([pair[side] for pair in arms] for side in (0, 1))
        estimates.append(stratified(controls, variants))
        pooled.append(welch(controls[0].merge(*controls[1:]), variants[0].merge(*variants[1:])))
        sizes = np.array([sum(split) for split in splits])
        truths.append(effect / float(sizes @ levels / sizes.sum() * users.means[0]))
    yield share(section, "stratified mean", _holds(estimates, effect), **limits)
    yield share(section, "stratified mean, relative (Fieller)", _holds(estimates, truths[0], relative=True), **limits)
    yield share(section, "the same regions pooled", _holds(pooled, effect), note="why regions are strata")


def _scale(level: float) -> Floats:
    factor = np.array([level, 1.0])
    return np.outer(factor, factor)


def _holds(estimates: Sequence[Estimate], truth: float, *, relative: bool = False) -> NDArray[np.bool_]:
    bounds = np.array([one.rel_ci if relative else one.ci for one in estimates])
    return (bounds[:, 0] <= truth) & (truth <= bounds[:, 1])


def daily_looks(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """A look a day for 28 days: with new users only, and with users who come back and whose totals grow."""
    for world, drawn, lift in (("new users", new_users, 0.13), ("returning users", returning_users, 0.135)):
        null, _ = _looked(drawn, 0.0, repeats, rng)
        # A quarter of the repetitions tells points lost to some tenths.
        real, n = _looked(drawn, lift, max(repeats // 4, 1), rng)
        yield from _judged_daily(world, null, real, n)


def _judged_daily(world: str, null: "_Looked", real: "_Looked", n: Floats) -> Iterator[Figure]:
    any_look, lost = "Any-look error over 28 daily looks", "Power over 28 daily looks"
    naive = (null.p < ALPHA).any(axis=1)
    yield share(any_look, f"{world}: peeking at p < .05", naive, note="what the sequential methods are for")
    fixed = real.p[:, -1] < ALPHA
    yield share(
        lost, f"{world}: fixed horizon", fixed, note=f"{n[-1]:,.0f} users at the end, a quarter of the repetitions"
    )
    days = np.arange(1, DAYS + 1) / DAYS
    for spending in SPENDINGS:
        z = boundaries(days.tolist(), alpha=ALPHA, spending=spending)  # type: ignore[arg-type]
        level = 2 * special.ndtr(-z)  # as verdicts do: p of the t test against the level of the look
        yield share(any_look, f"{world}: group-sequential, {spending}", (null.p <= level).any(axis=1), most=0.05)
        reached = (real.p <= level).any(axis=1)
        yield _points_lost(
            lost, f"{world}: points lost by {spending}", fixed, reached, limited=spending == SPENDINGS[0]
        )
    yield share(any_look, f"{world}: confidence sequence", null.left.any(axis=1), most=0.05)
    yield _points_lost(lost, f"{world}: points lost by the confidence sequence", fixed, real.left.any(axis=1))


def _points_lost(
    section: str, name: str, fixed: NDArray[np.bool_], reached: NDArray[np.bool_], *, limited: bool = False
) -> Figure:
    off = fixed.astype(float) - reached
    error = float(off.std() / np.sqrt(len(off)))
    return Figure(
        section=section, name=name, value=float(off.mean()), error=error, most=0.05 if limited else None,
        note="" if limited else "no limit was set: the price of looking early, or at any time",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Looked:
    """p, and whether 0 left the confidence sequence, ``(repeats, days)`` each."""

    p: Floats
    left: NDArray[np.bool_]


def _looked(
    drawn: Callable[[float, np.random.Generator], list[Moments]], lift: float, repeats: int, rng: np.random.Generator
) -> tuple[_Looked, Floats]:
    p, left = np.empty((repeats, DAYS)), np.zeros((repeats, DAYS), dtype=bool)
    n = np.zeros(DAYS)
    for at in range(repeats):
        for day, pair in enumerate(zip(drawn(0.0, rng), drawn(lift, rng), strict=True)):
            found = ratio(*pair)
            p[at, day], n[day] = found.p, found.n
            low, high = confidence_sequence_of(found, alpha=ALPHA, tuned_at=2 * A_DAY * DAYS)
            left[at, day] = low > 0 or high < 0
    return _Looked(p, left), n


def planned_power(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """Whether an experiment of the planned size finds the planned effect as often as planned."""
    for name, wanted in (("ctr", 0.80), ("focus_s", 0.80), ("engagement", 0.90)):
        users, mde_rel = shape(name), 0.10
        whole = users.draw(POPULATION, rng)
        slope = np.array([1.0, -users.ratio]) / users.means[1]
        sd = float(np.sqrt(slope @ whole.covariance @ slope))
        n = sample_size(baseline_mean=users.ratio, baseline_sd=sd, mde_rel=mde_rel, power=wanted).n_control
        # The planned effect with the planned variance: the same for everybody.
        added = mde_rel * users.ratio
        p = []
        for _ in range(repeats):
            variant = users.draw(n, rng)
            shear = np.array([[1.0, added], [0.0, 1.0]])
            moved = Moments.from_sums(n, shear @ variant.means, shear @ variant.comoments @ shear.T)
            p.append(ratio(users.draw(n, rng), moved).p)
        yield share(
            "Power as planned", f"{name}, {wanted:.0%} wanted", np.array(p) < ALPHA,
            least=wanted - 0.02, most=wanted + 0.02, note=f"{n:,} users in each arm, +10 %",
        )  # fmt: skip


def cuped_variance(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """Variance of the adjusted difference over that of the raw one, against 1 − ρ²."""
    from scipy.stats import wishart

    n, repeats = 2_000, 2 * repeats
    for rho in (0.3, 0.5, 0.7, 0.9):
        sigma = np.array([[1.0, rho], [rho, 1.0]])
        means = rng.multivariate_normal([10.0, 10.0], sigma / n, size=(2, repeats))
        comoments = [wishart.rvs(n - 1, sigma, size=repeats, random_state=rng) for _ in range(2)]
        arms = [
            [Moments.from_sums(n, m, (c + c.T) / 2) for m, c in zip(means[arm], comoments[arm], strict=True)]
            for arm in range(2)
        ]
        pairs = [(cuped(*pair), welch(*pair)) for pair in zip(*arms, strict=True)]
        for what, ratios in (
            ("as reported (se²)", np.array([(a.se / b.se) ** 2 for a, b in pairs])),
            ("as it happened", np.array([[a.diff, b.diff] for a, b in pairs])),
        ):
            if ratios.ndim == 1:
                value, error = float(ratios.mean()), float(ratios.std() / np.sqrt(repeats))
            else:
                value = float(ratios[:, 0].var() / ratios[:, 1].var())
                # Both variances are of the same repetitions: Var(log ratio) = 4 (1 − correlation²) / repeats.
                error = value * 2 * float(np.sqrt((1 - np.corrcoef(ratios.T)[0, 1] ** 2) / repeats))
            true = 1 - rho**2
            yield Figure(
                section="Variance left by CUPED", name=f"ρ = {rho}, {what}", value=value / true, error=error / true,
                least=0.97, most=1.03, note=f"relative to 1 − ρ² = {true:.2f}",
            )  # fmt: skip


def sample_ratio(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """How often the sample-ratio test is red when users are split as intended."""
    scenarios: tuple[tuple[int, tuple[float, ...]], ...] = (
        (100_000, (0.5, 0.5)), (10_000, (0.5, 0.5)), (1_000, (0.9, 0.1)),
        (200, (0.9, 0.1)), (200, (0.99, 0.01)), (3_000, (0.5, 0.3, 0.2)), (150, (0.8, 0.1, 0.1)),
    )  # fmt: skip
    for n, weights in scenarios:
        drawn, times = np.unique(rng.multinomial(n, weights, size=100 * repeats), axis=0, return_counts=True)
        red = np.array([not srm(counts.tolist(), weights).ok for counts in drawn])
        hits = np.repeat(red, times)
        yield share(
            "Sample ratio: false alarms a look", f"{n:,} users, {'/'.join(f'{100 * w:g}' for w in weights)}", hits,
            most=0.0013,
        )  # fmt: skip


def families(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """False alarms of a family of ten metrics that hang together."""
    section, metrics = "Many metrics", 10
    shared = np.full((metrics, metrics), 0.3) + 0.7 * np.eye(metrics)
    z = rng.multivariate_normal(np.zeros(metrics), shared, size=repeats)
    for real in (0, 5):
        moved = z + np.where(np.arange(metrics) < real, 3.0, 0.0)
        p = 2 * special.ndtr(-abs(moved))
        holm = np.array([adjust(row, method="holm") for row in p]) < ALPHA
        bh = np.array([adjust(row, method="bh") for row in p]) < ALPHA
        name = f"{real} of {metrics} really differ"
        yield share(section, f"Holm, any false alarm: {name}", holm[:, real:].any(axis=1), most=0.05)
        false = bh[:, real:].sum(axis=1) / np.maximum(bh.sum(axis=1), 1)
        yield Figure(
            section=section, name=f"BH, share of false ones among alarms: {name}", value=float(false.mean()),
            error=float(false.std() / np.sqrt(repeats)), most=0.05,
        )  # fmt: skip


PARTS: Final = (type_one, coverage, daily_looks, planned_power, cuped_variance, sample_ratio, families)


def simulate(repeats: int, seed: int, parts: Sequence[Callable[..., Iterator[Figure]]] = PARTS) -> list[Figure]:
    """Return every figure; each part has its own stream of random numbers."""
    found: list[Figure] = []
    for at, part in enumerate(parts):
        start = time.perf_counter()
        found += part(repeats, np.random.default_rng([seed, at]))
        print(f"{part.__name__}: {time.perf_counter() - start:.0f} s", flush=True)
    return found


def as_markdown(figures: Sequence[Figure], repeats: int, *, level: int = 2) -> str:
    """Return a table a section; ``±`` is one Monte-Carlo standard error."""
    lines: list[str] = []
    for section in dict.fromkeys(one.section for one in figures):
        lines += [
            f"{'#' * level} {section}",
            "",
            "| | value | ± | limit | met | |",
            "| --- | ---: | ---: | --- | --- | --- |",
        ]
        for one in figures:
            if one.section == section:
                lines.append(f"| {one.name} | {_shown(one)} | {_met(one)} | {one.note} |")
        lines.append("")
    limited = [one for one in figures if one.meets is not None]
    inside = sum(1 for one in limited if one.meets)
    outside = {
        "where the warning fires": [one for one in limited if not one.meets and one.excused],
        "by less than two ±": [one for one in limited if one.by_chance and not one.excused],
        "by more": [one for one in limited if not one.meets and not one.by_chance and not one.excused],
    }
    text = f"{repeats:,} repetitions; ± is one Monte-Carlo standard error. "
    text += f"{inside} of {len(limited)} figures are inside their limits; outside are "
    text += ", ".join(f"{len(those)} {why}" for why, those in outside.items()) + "."
    return "\n".join([text, "", *lines])


def _shown(one: Figure) -> str:
    plain = one.section == "Variance left by CUPED"
    digits = 3 if one.most is not None and one.most < 0.01 else 2

    def show(value: float) -> str:
        return f"{value:.3f}" if plain else f"{100 * value:.{digits}f} %"

    low, high = one.least, one.most
    limit = "" if high is None else (f"≤ {show(high)}" if low is None else f"{show(low)} to {show(high)}")
    return f"{show(one.value)} | {show(one.error)} | {limit}"


def _met(one: Figure) -> str:
    if one.meets is None:
        return ""
    if one.meets or one.excused:
        return "yes" if one.meets else "warned"
    return "no, by less than two ±" if one.by_chance else "**no**"


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--seed", type=int, default=20_260_301)
    parser.add_argument("--page", type=Path, default=Path("docs/experiments.md"), help="Page that shows the figures.")
    arguments = parser.parse_args()
    start = time.perf_counter()
    figures = simulate(arguments.repeats, arguments.seed)
    write(figures, arguments.repeats, arguments.seed, time.perf_counter() - start, arguments.out, arguments.page)


def write(figures: Sequence[Figure], repeats: int, seed: int, seconds: float, out: Path, page: Path) -> None:
    """Write the figures as a page of their own, as JSON, and into the page of the package."""
    versions = ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])
    about = (
        f"Written by `python -m benchmarks.simulate_experiments` in {seconds:.0f} s; seed {seed}; versions: {versions}."
    )
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "repeats": repeats,
        "seed": seed,
        "versions": versions,
        "figures": [{**asdict(one), "meets": one.meets} for one in figures],
    }
    (out / "experiments-simulated.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    text = f"# What the statistics keep of what they promise\n\n{about}\n\n{as_markdown(figures, repeats)}"
    (out / "experiments-simulated.md").write_text(text, encoding="utf-8")
    if page.exists():
        insert(page, as_markdown(figures, repeats, level=3))
    print(text)


if __name__ == "__main__":
    main()
