"""How good the recommendations are, on the synthetic benchmark and on real ratings, beside the baselines.

    python -m benchmarks.bench_precision --real ../shared/data/movielens-tmdb --out docs/benchmarks

Everything, block weights included, is fitted on the training part of each split. Without the real folder that half is
left out and the report says so.
"""

import argparse
import json
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from data.synthetic.benchmark import load_benchmark
from recommender.building import embed_films
from recommender.catalogue import Catalogue, build_catalogue
from recommender.evaluation.baselines import BASELINES, baselines
from recommender.evaluation.comparison import compare
from recommender.evaluation.ground import Ground, Scorer
from recommender.evaluation.judge import PRECISION, Judged, judge
from recommender.evaluation.protocols import Protocol, split
from recommender.evaluation.subject import Subject
from recommender.features import layout
from recommender.movielens import import_movielens
from workspace.clock import SystemClock
from workspace.paths import Paths
from workspace.settings import Settings, load_settings

_REAL: Final = Path("../shared/data/movielens-tmdb")
_K: Final = 5
_ORACLES: Final = ("oracle", "lawful_oracle")
_WITHOUT_AUDIENCE: Final = tuple(name for name in layout.BLOCKS if name != layout.AUDIENCE)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A catalogue to be judged on, and what is known of its limits."""

    name: str
    catalogue: Catalogue
    protocols: tuple[Protocol, ...]
    oracles: dict[str, float]


def worlds(real: Path) -> Iterator[World]:
    """Yield the synthetic benchmark, and the real folder when it is there."""
    benchmark = load_benchmark()
    made = benchmark.world
    yield World(
        name=f"synthetic benchmark {benchmark.manifest.name}",
        catalogue=build_catalogue(made.films, made.users, made.interactions),
        protocols=("kfold", "temporal"),
        oracles={name: float(benchmark.manifest.figures[name]) for name in _ORACLES},
    )
    if (real / "ratings.csv").is_file():
        yield World(
            name="MovieLens ml-latest-small with TMDB and OMDb facts",
            catalogue=import_movielens(real, clock=SystemClock()),
            protocols=("temporal", "random"),
            oracles={},
        )


def measured(world: World, settings: Settings, seed: int) -> list[dict[str, Any]]:
    """Judge baselines and recommender by every protocol of a world."""
    ground = Ground.of(world.catalogue)
    text, encoder = embed_films(settings, world.catalogue.films)
    rows = []
    for protocol in world.protocols:
        splits = split(ground.acts, protocol, seed=seed)
        subjects: Sequence[Scorer] = [
            *baselines(tuple(BASELINES)),
            *(
                Subject.of(ground, text=text, blocks=blocks, protocol=protocol, seed=seed, name=name)
                for name, blocks in (("without audience", _WITHOUT_AUDIENCE), ("recommendr", layout.BLOCKS))
            ),
        ]
        found: dict[str, Judged] = {}
        for subject in subjects:
            start = time.perf_counter()
            found[subject.name] = judge(subject, ground, splits, k=_K)
            rows.append({
                "world": world.name, "protocol": protocol, "system": subject.name, "encoder": encoder,
                **found[subject.name].to_dict(), "seconds": time.perf_counter() - start, **world.oracles,
                "importance": [dict(one).get("importance") for one in found[subject.name].evidence],
            })  # fmt: skip
            print(f"{world.name} · {protocol} · {subject.name}: {rows[-1][PRECISION]:.4f}", flush=True)
        ease, own = found["ease"].per_user[PRECISION], found["recommendr"].per_user[PRECISION]
        rows[-1]["against_ease"] = compare(own, ease, names=("recommendr", "ease")).to_dict()
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Draw the rows of one world and protocol."""
    head = (
        f"| system | precision@{_K} | 95 % | recall@{_K} | hit rate | NDCG@{_K} | coverage | novelty, bits | "
        "calibration, nats | s |\n|" + " --- |" + " ---: |" * 9
    )
    lines = [
        f"| {row['system']} | {row[PRECISION]:.4f} | {row['ci95'][0]:.4f} to {row['ci95'][1]:.4f} | "
        f"{row['recall_at_k']:.4f} | {row['hit_rate']:.4f} | {row['ndcg_at_k']:.4f} | {row['coverage']:.4f} | "
        f"{row['novelty_bits']:.2f} | {row['calibration_kl']:.2f} | {row['seconds']:.0f} |"
        for row in rows
    ]
    return "\n".join((head, *lines))


def report(rows: Sequence[dict[str, Any]], real_there: bool) -> str:
    """Write the page."""
    names = ("numpy", "scipy", "pandas", "sentence-transformers", "torch")
    parts = [
        "# Precision",
        "Written by `python -m benchmarks.bench_precision`; versions: "
        f"python {platform.python_version()}, " + ", ".join(f"{name} {version(name)}" for name in names) + ".",
    ]
    for key in dict.fromkeys((row["world"], row["protocol"]) for row in rows):
        own = [row for row in rows if (row["world"], row["protocol"]) == key]
        last = own[-1]
        against = last["against_ease"]
        parts += [
            f"## {key[0]}, {key[1]}",
            f"{last['users']} users.",
            table(own),
            f"Paired with EASE: {_signed(against['difference'], *against['ci95'])}, {against['verdict']}.",
        ]
        if "oracle" in last and key[1] == "kfold":
            whole, lawful = (f"{last[PRECISION] / last[name]:.0%} of the {last[name]:.4f}" for name in _ORACLES)
            parts.append(f"That is {whole} of an oracle, and {lawful} of an oracle that keeps to the rules.")
    if not real_there:
        parts.append("The real ratings were not there and are left out.")
    return "\n\n".join(parts) + "\n"


def _signed(difference: float, low: float, high: float) -> str:
    return f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, default=_REAL, help="MovieLens folder; left out when it is not there")
    parser.add_argument("--work", type=Path, default=Path("var/bench"), help="keeps the text vectors between runs")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    Paths(options.work).ensure()
    settings = load_settings(options.work)
    rows = [row for world in worlds(options.real) for row in measured(world, settings, options.seed)]
    options.out.mkdir(parents=True, exist_ok=True)
    page = report(rows, (options.real / "ratings.csv").is_file())
    (options.out / "precision.md").write_text(page, encoding="utf-8")
    (options.out / "precision.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
