"""What the statistics of audits keep of what they promise: coverage, error of the family, size of tests, by simulation.

    python -m benchmarks.simulate_audit --out docs/benchmarks

Users and personas are drawn from populations whose truth is known, with rows that hang together: several rows a user,
several personas a taste, and both groups in one taste. Every figure goes through the functions that judge audits. The
limits were set before: intervals hold the truth in 94 to 96 of 100 cases, and the chance of any false disparity in a
family is at most 5 %. Takes about ten minutes on one core.
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

from audit.inference import bootstrap_ratio, log_ratio, permutation_p
from audit.judging import Comparison, compare_binary, compare_means, judge
from audit.pooling import Stratum, mantel_haenszel, pooled_ratio
from audit.results import Verdict
from benchmarks.marked_pages import insert
from benchmarks.simulate_experiments import Figure, as_markdown, share

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Interval = tuple[float, float]

REPEATS: Final = 8_000
ALPHA: Final = 0.05
PACKAGES: Final = ("numpy", "scipy", "statsmodels")
PAGE: Final = Path("docs/audit-statistics.md")
COVERED: Final = {"least": 0.94, "most": 0.96}
PARITY: Final = (0.8, 1.25)

TASTES: Final = 60
AXES: Final = {"name_origin": 10, "gender": 3, "age_band": 5, "region": 6}
FILM_GROUPS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of two groups: values and clusters."""

    group: Floats
    reference: Floats
    clusters_group: Ints
    clusters_reference: Ints

    def clusters(self) -> dict[str, Ints]:
        """Return the clusters as the functions take them."""
        return {"clusters_group": self.clusters_group, "clusters_reference": self.clusters_reference}


def users_with_rows(n1: int, n0: int, rate: float, ratio: float, rng: np.random.Generator) -> Rows:
    """Draw users with one to six rows each, whose rates differ: an intraclass correlation of 0.2."""

    def draw(n: int, mean: float, first: int) -> tuple[Floats, Ints]:
        sizes = rng.integers(1, 7, size=n)
        own = rng.beta(4 * mean, 4 * (1 - mean), size=n)
        clusters = np.repeat(np.arange(first, first + n), sizes)
        return (rng.random(clusters.size) < np.repeat(own, sizes)).astype(float), clusters

    group, one = draw(n1, rate * ratio, 0)
    reference, two = draw(n0, rate, n1)
    return Rows(group=group, reference=reference, clusters_group=one, clusters_reference=two)


def personas_of_tastes(
    rate: float, ratio: float, rng: np.random.Generator, *, tastes: int = TASTES, of_each: int = 4, binary: bool = True
) -> Rows:
    """Draw personas of both groups from the same tastes, whose rates differ: both groups share their clusters."""
    own = rng.beta(3 * rate, 3 * (1 - rate), size=tastes)
    clusters = np.repeat(np.arange(tastes), of_each)

    def draw(times: float) -> Floats:
        mean = own[clusters] * times
        if binary:
            return (rng.random(clusters.size) < mean).astype(float)
        return mean * rng.gamma(4.0, 0.25, size=clusters.size)

    return Rows(group=draw(ratio), reference=draw(1.0), clusters_group=clusters, clusters_reference=clusters)


def coverage(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """How often the 95 % intervals of comparisons hold what is true."""
    for n, rate, ratio in ((500, 0.3, 1.0), (500, 0.3, 0.7), (100, 0.3, 0.8), (1_000, 0.05, 1.0)):
        found = [compare_binary(rng.random(n) < rate * ratio, rng.random(n) < rate) for _ in range(repeats)]
        yield from _covered(f"shares {rate * ratio:.2g} and {rate:g}, {n} users each", found, rate, ratio)
    for n1, n0, rate, ratio in ((100, 150, 0.3, 1.0), (100, 150, 0.3, 0.7), (60, 60, 0.2, 1.0)):
        drawn = [users_with_rows(n1, n0, rate, ratio, rng) for _ in range(repeats)]
        found = [_shares(one) for one in drawn]
        name = f"shares {rate * ratio:.2g} and {rate:g}, {n1} and {n0} users of 1 to 6 rows"
        yield from _covered(name, found, rate, ratio)
    for rate, ratio in ((0.4, 1.0), (0.4, 0.7), (0.2, 1.0)):
        drawn = [personas_of_tastes(rate, ratio, rng) for _ in range(repeats)]
        name = f"shares {rate * ratio:.2g} and {rate:g}, 4 personas of {TASTES} tastes in both groups"
        yield from _covered(name, [_shares(one) for one in drawn], rate, ratio)
        drawn = [personas_of_tastes(rate, ratio, rng, binary=False) for _ in range(repeats)]
        name = f"means {rate * ratio:.2g} and {rate:g}, 4 personas of {TASTES} tastes in both groups"
        yield from _covered(name, [_means(one) for one in drawn], rate, ratio)
    found = [compare_means(rng.beta(1, 3, 120) * 0.8, rng.beta(1, 3, 200)) for _ in range(repeats)]
    yield from _covered("means 0.2 and 0.25, 120 and 200 users", found, 0.25, 0.8)


def rows_as_users(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """What would happen if rows were taken for users: why they are not."""
    section = "If rows were taken for users"
    drawn = [users_with_rows(100, 150, 0.3, 1.0, rng) for _ in range(repeats)]
    wrong = [compare_binary(one.group > 0, one.reference > 0) for one in drawn]
    yield share(section, "coverage of the ratio, users of 1 to 6 rows", _held([one.ratio_interval for one in wrong], 1))
    same = np.repeat(np.arange(TASTES), 8)
    hits = []
    for _ in range(repeats):
        lists = rng.random((2, TASTES)) < 0.4
        hits.append(compare_binary(lists[0][same], lists[1][same]).ratio_interval)
    yield share(section, "coverage of the ratio, 8 personas with one list a taste", _held(hits, 1))


def resampled(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """Coverage of the intervals that stand beside: log ratio, bootstrap, pooled over markets."""
    section = "Coverage of 95 % intervals of other ratios"
    users = [users_with_rows(100, 150, 0.3, 0.8, rng) for _ in range(repeats)]
    tastes = [personas_of_tastes(0.4, 0.8, rng) for _ in range(repeats)]
    for name, drawn in (("users of 1 to 6 rows", users), ("4 personas of 60 tastes in both groups", tastes)):
        found = [log_ratio(one.group, one.reference, **one.clusters())[1] for one in drawn]
        yield share(section, f"log ratio, {name}", _held(found, 0.8), **COVERED)
        few = drawn[: repeats // 2]
        found = [
            bootstrap_ratio(one.group, one.reference, **one.clusters(), draws=999, seed=at)[1]
            for at, one in enumerate(few)
        ]
        yield share(section, f"bootstrap (BCa), {name}", _held(found, 0.8), **COVERED)


def pooled(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """The Mantel–Haenszel ratio over six markets, and its test of heterogeneity."""
    section = "Pooled over six markets"
    rates = np.linspace(0.15, 0.5, 6)
    for ratio in (1.0, 0.8):
        found = [
            mantel_haenszel([
                Stratum(name=str(at), k1=int(rng.binomial(60, p * ratio)), n1=60, k0=int(rng.binomial(90, p)), n0=90)
                for at, p in enumerate(rates)
            ])
            for _ in range(repeats)
        ]  # fmt: skip
        name = f"independent users, ratio {ratio:g}"
        yield share(section, f"coverage, {name}", _held([one.interval for one in found], ratio), **COVERED)
        same = np.array([one.heterogeneity_p or 1.0 for one in found])
        yield share(section, f"markets that agree called different at 5 %, {name}", same < ALPHA, most=0.06)
    markets = np.tile(np.arange(6), TASTES)
    clusters = np.repeat(np.arange(TASTES), 6)
    found = []
    for _ in range(repeats):
        own = rng.beta(2, 3, size=TASTES)[clusters] * (0.5 + rates[markets])
        group, reference = rng.random(own.size) < own * 0.8, rng.random(own.size) < own
        found.append(
            pooled_ratio(group, reference, markets, markets, clusters_group=clusters, clusters_reference=clusters)
        )
    name = "the same 60 tastes in both groups and all markets, ratio 0.8"
    yield share(section, f"coverage, {name}", _held([one.interval for one in found], 0.8), **COVERED)
    same = np.array([1.0 if one.heterogeneity_p is None else one.heterogeneity_p for one in found])
    yield share(section, f"markets that agree called different at 5 %, {name}", same < ALPHA, most=0.06)


def families(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """Families as an audit declares them, with nothing to be found, and with one disparity."""
    section = "Families without any disparity"
    times = repeats // 4
    for name, draw in (
        (f"taste-matched panel, {TASTES} tastes, 4 axes", matched_family),
        ("observed users, 600 in 6 regions", observed_family),
    ):
        significant, disparity, sizes = [], [], 0
        for _ in range(times):
            rows = draw(rng)
            judged = judge(rows, in_family=[True] * len(rows), alpha=ALPHA, parity=PARITY)
            significant.append(any(one.p_adjusted is not None and one.p_adjusted < ALPHA for one in judged))
            disparity.append(any(one.verdict is Verdict.DISPARITY for one in judged))
            sizes = len(rows)
        yield share(section, f"any adjusted p below 5 %: {name}, {sizes} tests", np.array(significant), most=0.05)
        yield share(section, f"any verdict of disparity: {name}, {sizes} tests", np.array(disparity), most=0.05)
    section = "A single row of a family of 19"
    filler = [Comparison(p=1.0)] * 18
    for ratio, limits in ((0.8, {"most": 0.05}), (1.25, {"most": 0.05}), (1.0, {}), (0.5, {})):
        verdicts = []
        for _ in range(repeats):
            row = personas_of_tastes(0.4, ratio, rng, tastes=240)
            verdicts.append(judge([_shares(row), *filler], in_family=[True] * 19)[0].verdict)
        shown = np.array([one is Verdict.PARITY for one in verdicts])
        yield share(section, f"parity shown where the ratio is {ratio:g}, 240 tastes", shown, **limits)
        shown = np.array([one is Verdict.DISPARITY for one in verdicts])
        yield share(section, f"disparity where the ratio is {ratio:g}, 240 tastes", shown)


def matched_family(rng: np.random.Generator) -> list[Comparison]:
    """Return every comparison of a panel in which no attribute matters.

    480 personas, 8 of each taste, every one with a history of its own; their attributes are drawn. Film groups are
    shown at very different rates.
    """
    tastes = np.repeat(np.arange(TASTES), 8)
    rates = np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8])
    own = rng.beta(3 * rates, 3 * (1 - rates), size=(TASTES, FILM_GROUPS))[tastes]
    reach = rng.random(own.shape) < own
    exposure = reach * rng.beta(2, 4, size=own.shape)
    quality = rng.normal(size=TASTES)[tastes]
    hits = rng.random(tastes.size) < 1 / (1 + np.exp(-quality))
    precision = rng.binomial(5, 0.4 / (1 + np.exp(-quality))) / 5
    calibration = rng.gamma(3, 0.2, size=tastes.size) * np.exp(0.3 * quality)
    rows = []
    for groups in AXES.values():
        codes = rng.permutation(np.arange(tastes.size) % groups)
        for group in range(1, groups):
            one, two = codes == group, codes == 0
            clusters = {"clusters_group": tastes[one], "clusters_reference": tastes[two]}
            for film in range(FILM_GROUPS):
                rows.append(compare_binary(reach[one, film], reach[two, film], **clusters))
                rows.append(compare_means(exposure[one, film], exposure[two, film], most=1.0, **clusters))
            rows.append(compare_binary(hits[one], hits[two], **clusters))
            rows.append(compare_means(precision[one], precision[two], most=1.0, **clusters))
            rows.append(compare_means(calibration[one], calibration[two], **clusters))
    return rows


def observed_family(rng: np.random.Generator) -> list[Comparison]:
    """Return every comparison of 600 users of whom no region is shown other films; regions are of unequal size."""
    codes = rng.permutation(np.repeat(np.arange(6), [250, 150, 100, 50, 30, 20]))
    rates = np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8])
    reach = rng.random((codes.size, FILM_GROUPS)) < rates
    exposure = reach * rng.beta(2, 4, size=reach.shape)
    precision = rng.binomial(5, 0.15, size=codes.size) / 5
    rows = []
    for group in range(1, 6):
        one, two = codes == group, codes == 0
        for film in range(FILM_GROUPS):
            rows.append(compare_binary(reach[one, film], reach[two, film]))
            rows.append(compare_means(exposure[one, film], exposure[two, film], most=1.0))
        rows.append(compare_binary(precision[one] > 0, precision[two] > 0))
        rows.append(compare_means(precision[one], precision[two], most=1.0))
    return rows


def permutations(repeats: int, rng: np.random.Generator) -> Iterator[Figure]:
    """How often the permutation test of "any difference" is wrong at 5 %, and what it would be without clusters."""
    section, times, draws = "Permutation test at 5 %, nothing to be found", repeats // 2, 199
    tastes, codes = np.repeat(np.arange(TASTES), 4), np.tile(np.arange(4), TASTES)
    users = np.repeat(np.arange(80), 5)
    by_user = np.repeat(np.arange(80) % 4, 5)
    inside, whole, rows = [], [], []
    for at in range(times):
        values = rng.normal(size=TASTES)[tastes] + rng.standard_t(3, size=tastes.size)
        inside.append(permutation_p(values, codes, strata=tastes, draws=draws, seed=at))
        values = rng.normal(size=80)[users] + rng.normal(size=users.size)
        whole.append(permutation_p(values, by_user, clusters=users, draws=draws, seed=at))
        rows.append(permutation_p(values, by_user, draws=draws, seed=at))
    limits = {"least": 0.04, "most": 0.06}
    for name, found, limit in (
        ("60 tastes in all of 4 groups, exchanged inside the taste", inside, limits),
        ("80 users of 5 rows in 4 groups, users exchanged whole", whole, limits),
        ("the same, rows exchanged as if they were users", rows, {}),
    ):
        # Exact: 10 of 200 places give a p of 0.05 or less.
        yield share(section, name, np.array(found) <= ALPHA, **limit)


def _shares(one: Rows) -> Comparison:
    return compare_binary(one.group > 0, one.reference > 0, **one.clusters())


def _means(one: Rows) -> Comparison:
    return compare_means(one.group, one.reference, **one.clusters())


def _covered(name: str, found: Sequence[Comparison], rate: float, ratio: float) -> Iterator[Figure]:
    for what, intervals, truth in (
        ("ratio", [one.ratio_interval for one in found], ratio),
        ("difference", [one.difference_interval for one in found], rate * (ratio - 1)),
        ("the group's own", [one.interval for one in found], rate * ratio),
    ):
        section = f"Coverage of 95 % intervals: {what}"
        yield share(section, name, _held(intervals, truth), **COVERED)


def _held(intervals: Sequence[Interval | None], truth: float) -> NDArray[np.bool_]:
    # An interval without bounds holds everything.
    return np.array([one is None or one[0] <= truth <= one[1] for one in intervals])


PARTS: Final = (coverage, rows_as_users, resampled, pooled, families, permutations)


def simulate(repeats: int, seed: int, parts: Sequence[Callable[..., Iterator[Figure]]] = PARTS) -> list[Figure]:
    """Return every figure; each part has its own stream of random numbers."""
    found: list[Figure] = []
    for at, part in enumerate(parts):
        start = time.perf_counter()
        found += part(repeats, np.random.default_rng([seed, at]))
        print(f"{part.__name__}: {time.perf_counter() - start:.0f} s", flush=True)
    return found


def write(figures: Sequence[Figure], repeats: int, seed: int, seconds: float, out: Path, page: Path) -> None:
    """Write the figures as a page of their own, as JSON, and into the page of the statistics."""
    versions = ", ".join([f"python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)])
    about = f"Written by `python -m benchmarks.simulate_audit` in {seconds:.0f} s; seed {seed}; versions: {versions}."
    order = list(dict.fromkeys(one.section for one in figures))
    figures = sorted(figures, key=lambda one: order.index(one.section))
    out.mkdir(parents=True, exist_ok=True)
    document = {
        "repeats": repeats,
        "seed": seed,
        "versions": versions,
        "figures": [{**asdict(one), "meets": one.meets} for one in figures],
    }
    (out / "audit-simulated.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    text = f"# What the statistics of audits keep of what they promise\n\n{about}\n\n{as_markdown(figures, repeats)}"
    (out / "audit-simulated.md").write_text(text, encoding="utf-8")
    if page.exists():
        insert(page, as_markdown(figures, repeats, level=3))
    print(text)


def main() -> None:
    """Simulate and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--seed", type=int, default=20_251_027)
    parser.add_argument("--page", type=Path, default=PAGE, help="Page that shows the figures.")
    arguments = parser.parse_args()
    start = time.perf_counter()
    figures = simulate(arguments.repeats, arguments.seed)
    write(figures, arguments.repeats, arguments.seed, time.perf_counter() - start, arguments.out, arguments.page)


if __name__ == "__main__":
    main()
