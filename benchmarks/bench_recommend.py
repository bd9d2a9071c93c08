"""One request against a large catalogue, at every selectivity, beside other libraries, on one core.

    python -m benchmarks.bench_recommend --rows 1000000 --dim 512 --queries 100 --out docs/benchmarks

The films lie in 500 clusters; a user's profile is made of three of them. A request is whole: the profile from 30 films
of history, four rules and their counts, the search for 200 candidates, a float32 re-rank, and the contributions by
block of the five shown. Systems differ in the search alone. Peers that are not installed are left out and named.
"""

# ruff: noqa: E402 - the number of threads must be set before NumPy is imported
import argparse
import datetime as dt
import json
import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks.search_peers import CANDIDATES, SEED, SHOWN, Faiss, Hnswlib, NumpyScan
from recommender import rules
from recommender.acts import Acts
from recommender.features.layout import Layout
from recommender.features.matrix import FeatureMatrix
from recommender.features.priors import PopularityBins, Priors, Recency
from recommender.index import IndexVersion, open_version, switch, write_version
from recommender.profile import EVERYBODY, Pooling, profile
from recommender.ranking import block_terms, total
from recommender.rules import RuleBook
from workspace.paths import Paths

HISTORY: Final = 30
CLUSTERS: Final = 500
TASTES: Final = 3
RULES: Final = 4
CELLS: Final = (
    ("random", 1.0),
    ("random", 0.5),
    ("random", 0.05),
    ("random", 0.005),
    ("random", 0.0005),
    ("against taste", 0.05),
    ("against taste", 0.005),
)
WEIGHTS: Final = {"text": (0.75, 1.0), "genre": (0.875, 1.6), "people": (0.96875, 0.6), "era": (1.0, 1.2)}
BLOCK_WEIGHTS: Final = {name: weight for name, (_, weight) in WEIGHTS.items()}
TODAY: Final = dt.date(2025, 1, 1)
DAY: Final = 20_089.0
FILTERS: Final = rules.Filters(exclude_genres=("excluded",), languages=("wanted",))
GRAPH: Final = {"auto": None, "always": True, "never": False}

Floats = NDArray[np.float32]
Query = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Films in clusters, and where they came from.

    Attributes:
        vectors: float32 ``(rows, dim)``, unit norm.
        cluster: The cluster of each film.
        centres: float32 ``(clusters, dim)``.
        blocks: Column ranges.
        weights: float32 ``(dim,)``, the block weight of each column.
        matrix: The same films as the recommender's profile sees them.
    """

    vectors: Floats
    cluster: NDArray[np.int32]
    centres: Floats
    blocks: dict[str, tuple[int, int]]
    weights: Floats
    matrix: FeatureMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a request starts from: films seen with their likings, and the catalogue's rules.

    Attributes:
        seen: Rows of the history.
        liking: float32, one a film of the history.
        book: The rules; region, legal block, genre and language each allow a drawn part of the films.
    """

    seen: Rows
    liking: Floats
    book: RuleBook


class System(Protocol):
    """Something that finds candidates."""

    name: str

    def search(self, query: Query, allowed: Mask) -> Rows:
        """Return up to 200 allowed rows, in any order."""
        ...


def make_world(rows: int, dim: int) -> World:
    """Return unit vectors: a cluster's centre plus noise of the same length, cosine 1/2 within."""
    rng = np.random.default_rng(SEED)
    centres = rng.standard_normal((CLUSTERS, dim), dtype=np.float32)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    cluster = rng.integers(CLUSTERS, size=rows, dtype=np.int32)
    vectors = np.empty((rows, dim), dtype=np.float32)
    for start in range(0, rows, 50_000):
        part = cluster[start : start + 50_000]
        noisy = centres[part] + rng.standard_normal((len(part), dim), dtype=np.float32) / np.float32(np.sqrt(dim))
        vectors[start : start + 50_000] = noisy / np.linalg.norm(noisy, axis=1, keepdims=True)
    blocks, weights, start = {}, np.empty(dim, dtype=np.float32), 0
    for name, (end, weight) in WEIGHTS.items():
        blocks[name] = (start, int(end * dim))
        weights[slice(*blocks[name])] = weight
        start = blocks[name][1]
    priors = Priors(blocks=(), bins=PopularityBins(edges=(0.0,)), recency=Recency(origin_year=2000.0))
    matrix = FeatureMatrix(layout=Layout(blocks), candidates=vectors, audience_history=None, priors=priors,
                           market_means={EVERYBODY: np.zeros(dim, np.float32)})  # fmt: skip
    return World(vectors=vectors, cluster=cluster, centres=centres, blocks=blocks, weights=weights, matrix=matrix)


def make_requests(world: World, kind: str, share: float, count: int) -> Iterator[Request]:
    """Yield requests of users with three tastes whose rules together allow a share of the films."""
    rng = np.random.default_rng(SEED + 1)
    masks = np.random.default_rng(SEED + 2)
    rows = len(world.vectors)
    for _ in range(count):
        tastes = rng.choice(CLUSTERS, TASTES, replace=False)
        films = [np.flatnonzero(world.cluster == taste) for taste in tastes]
        seen = np.concatenate([rng.choice(of_taste, HISTORY // TASTES) for of_taste in films])
        liking = rng.uniform(0.2, 1.0, HISTORY).astype(np.float32)
        allowed = np.ones(rows, dtype=np.bool_)
        if kind == "against taste":
            # Only films of the half of the clusters that the user likes least.
            wanted = (world.vectors[seen] * liking[:, None]).mean(axis=0) * world.weights
            allowed = (np.argsort(np.argsort(world.centres @ wanted)) < CLUSTERS // 2)[world.cluster]
            share_left = float(share * rows / np.count_nonzero(allowed))
        else:
            share_left = share
        each = share_left ** (1 / RULES)  # random() < 1 always: a share of 1 allows all
        drawn = [masks.random(rows, dtype=np.float32) < each for _ in range(RULES)]
        book = RuleBook(
            release=np.full(rows, "2000-01-01", dtype="datetime64[D]"),
            minimum_age=np.zeros(rows),
            genres={"excluded": ~drawn[1]},
            languages={"wanted": drawn[2]},
            available={"eu": drawn[0] & allowed},
            blocked={"eu": ~drawn[3]},
        )
        book.decide(rules.Request(on=TODAY, region="eu"))  # what all requests of a day share is ready in a service
        yield Request(seen=seen, liking=liking, book=book)


def profile_of(world: World, request: Request) -> Query:
    """Return the weighted user vector, float64 ``(dim,)``, by the recommender's own pooling."""
    seen = len(request.seen)
    flags, numbers = np.ones(seen, np.bool_), np.zeros(seen)
    acts = Acts(users=np.zeros(seen, np.int64), films=request.seen, likes=request.liking.astype(np.float64),
                watched=flags, positive=flags, days=numbers)  # fmt: skip
    person = profile(world.matrix, acts, day=DAY, market="", pooling=Pooling())
    return person.vector * world.matrix.layout.spread(BLOCK_WEIGHTS).astype(np.float64)


def answer(world: World, system: System, request: Request) -> tuple[Rows, float, float, float]:
    """Return the rows shown, and in ms the whole time, that of the search, and the CPU time of the whole.

    Profile, rules, re-rank and explanation are the recommender's own for every system.
    """
    worked = time.thread_time()
    begun = time.perf_counter()
    query = profile_of(world, request)
    decision = request.book.decide(rules.Request(on=TODAY, region="eu", seen=request.seen, filters=FILTERS))
    asked = time.perf_counter()
    rows = system.search(query, decision.allowed)
    searched = time.perf_counter() - asked
    terms = block_terms(world.matrix.layout, query, world.vectors[rows])
    scores = total(terms) if len(rows) else np.empty(0)
    order = np.lexsort((rows, -scores))[:SHOWN]
    contributions = [{name: float(values[place]) for name, values in terms.items()} for place in order]
    whole = time.perf_counter() - begun
    if any(abs(sum(parts.values()) - scores[place]) > 1e-6 for parts, place in zip(contributions, order, strict=True)):
        raise AssertionError("contributions do not sum to the score")
    return rows[order], whole * 1000, searched * 1000, (time.thread_time() - worked) * 1000


class Ours:
    """This project's index; the router chooses, or one path is forced."""

    def __init__(self, index: IndexVersion, path: Any = None) -> None:  # noqa: ANN401 - the literal of `search`
        self.name = "RecommendR" if path is None else f"RecommendR ({path} forced)"
        self._index = index
        self._path = path
        self.paths_taken: set[str] = set()

    def search(self, query: Query, allowed: Mask) -> Rows:
        """Return the best 200."""
        hits = self._index.search(query, k=SHOWN, allowed=allowed, candidates=CANDIDATES, path=self._path)
        self.paths_taken.add(hits.path)
        return hits.rows


def measure_cell(
    world: World, system: System, truth: list[set[int]], kind: str, share: float, count: int
) -> dict[str, Any]:
    """Return the figures of one system in one cell."""
    whole, search, cpu, recalls, shown = [], [], [], [], []
    for i, request in enumerate(make_requests(world, kind, share, count + 2)):
        rows, whole_ms, search_ms, cpu_ms = answer(world, system, request)
        if i < 2:  # the first touch the pages
            continue
        whole.append(whole_ms)
        search.append(search_ms)
        cpu.append(cpu_ms)
        recalls.append(len(truth[i] & set(rows.tolist())) / max(1, len(truth[i])))
        shown.append(len(rows))
    figures = {
        "system": system.name,
        "cell": f"{kind} {share:.2%}",
        "kind": kind,
        "share": share,
        "median_ms": float(np.median(whole)),
        "p95_ms": float(np.quantile(whole, 0.95)),
        "cpu_median_ms": float(np.median(cpu)),
        "cpu_p95_ms": float(np.quantile(cpu, 0.95)),
        "search_median_ms": float(np.median(search)),
        "search_p95_ms": float(np.quantile(search, 0.95)),
        "recall_at_5": float(np.mean(recalls)),
        "fewest_shown": min(shown),
        "requests": len(shown),
    }
    taken = getattr(system, "paths_taken", None)
    if taken is not None:
        figures["paths"] = sorted(taken)
        taken.clear()
    return figures


def true_answers(world: World, kind: str, share: float, count: int) -> list[set[int]]:
    """Return the exact five of each request, by float64 products of the float32 leaders."""
    answers = []
    scan = NumpyScan(world.vectors)
    for request in make_requests(world, kind, share, count + 2):
        query = profile_of(world, request)
        asked = rules.Request(on=TODAY, region="eu", seen=request.seen, filters=FILTERS)
        rows = scan.search(query, request.book.decide(asked).allowed)
        scores = world.vectors[rows].astype(np.float64) @ query
        answers.append(set(rows[np.lexsort((rows, -scores))[:SHOWN]].tolist()))
    return answers


def systems(world: World, index: IndexVersion, cache: Path, wanted: list[str]) -> Iterator[Callable[[], System]]:
    """Yield makers of the systems, so that only one peer is in memory at a time."""
    yield lambda: Ours(index)
    yield lambda: Ours(index, "scan")
    if "numpy" in wanted:
        yield lambda: NumpyScan(world.vectors)
    if find_spec("faiss"):
        for kind in ("flat", "ivf", "hnsw"):
            if f"faiss-{kind}" in wanted:
                yield partial(Faiss, world.vectors, kind, cache)
    if find_spec("hnswlib") and "hnswlib" in wanted:
        yield lambda: Hnswlib(world.vectors, cache)


def probe(home: Path) -> None:
    """Open the current version in a fresh process, search it, and print the time and the memory."""
    begun = time.perf_counter()
    index = open_version(Paths(home))
    opened = time.perf_counter() - begun
    index.warm()
    warmed = time.perf_counter() - begun - opened
    rng = np.random.default_rng(SEED)
    for share in (1.0, 1.0, 0.5, 0.05, 0.005):
        allowed = rng.random(index.rows) < share
        for path in (None, "scan"):
            index.search(np.asarray(index.vectors[int(rng.integers(index.rows))]), k=SHOWN, allowed=allowed, path=path)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    print(
        json.dumps(
            {
                "open_s": opened,
                "warm_s": warmed,
                **{
                    f"{key.lower()}_bytes": int(status[key].split()[0]) * 1024
                    for key in ("VmRSS", "RssAnon", "RssFile")
                },
            }
        )
    )


def build(world: World, paths: Paths, *, graph: bool | None) -> dict[str, Any]:
    """Publish the version and return how long it took, now or when it was first built here."""
    record = paths.home / "build.json"
    begun = time.perf_counter()
    manifest = write_version(paths, vectors=world.vectors, blocks=world.blocks, extra={"benchmark": SEED}, graph=graph)
    seconds = time.perf_counter() - begun
    if record.exists():  # then the version was only verified
        seconds = json.loads(record.read_text())["build_s"]
    else:
        record.write_text(json.dumps({"build_s": seconds}))
    switch(paths, manifest.version)
    return {
        "build_s": seconds,
        "rows_per_s": len(world.vectors) / seconds,
        "version": manifest.version,
        "graph": None
        if manifest.graph is None
        else {
            "fetch": manifest.graph.fetch,
            "recall_at_5": manifest.graph.recall_at_5,
            "connectivity": manifest.graph.connectivity,
            "expansion_add": manifest.graph.expansion_add,
        },
        "bytes_on_disk": sum(stored.bytes for stored in manifest.files.values()),
    }


def versions() -> dict[str, str]:
    """Return what ran this."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in ("numpy", "numkong", "usearch", "hnswlib", "faiss-cpu"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return {**found, "cpu": cpu}


def as_markdown(report: dict[str, Any]) -> str:
    """Return the report as a page with one table a cell."""
    world, index = report["world"], report["index"]
    used = ", ".join(f"{name} {value}" for name, value in report["versions"].items())
    scene = (
        f"{world['rows']:,} films × {world['dim']} dimensions in {CLUSTERS} clusters, {world['requests']} requests"
        f" a cell, one core. Written by `python -m benchmarks.bench_recommend`; versions: {used}."
    )
    facts = (
        f"Build {index['build_s']:.0f} s ({index['rows_per_s']:,.0f} films/s), open {index['open_s'] * 1000:.0f} ms,"
        f" memory {index['vmrss_bytes'] / 2**30:.2f} GiB of which {index['rssanon_bytes'] / 2**30:.2f} private"
        f" ({index['vmrss_bytes'] / world['vector_bytes']:.2f} × the float32 vectors). Graph: {index['graph']}."
    )
    lines = [
        "# Recommendation requests",
        "",
        scene,
        "",
        facts,
        "",
    ]
    for cell in dict.fromkeys(row["cell"] for row in report["cells"]):
        lines += [
            f"## Allowed: {cell}",
            "",
            "| system | request median ms | p95 | CPU median ms | p95 | search median ms | p95 | recall@5 | shown |",
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        ]
        lines += [
            f"| {_named(row)} | {row['median_ms']:.1f} | {row['p95_ms']:.1f} | {row['cpu_median_ms']:.1f}"
            f" | {row['cpu_p95_ms']:.1f} | {row['search_median_ms']:.1f}"
            f" | {row['search_p95_ms']:.1f} | {row['recall_at_5']:.3f} | {row['fewest_shown']} |"
            for row in report["cells"]
            if row["cell"] == cell
        ]
        lines.append("")
    return "\n".join(lines)


def _named(row: dict[str, Any]) -> str:
    return f"{row['system']}, {'/'.join(row['paths'])}" if "paths" in row else str(row["system"])


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--work", type=Path, default=Path("var/bench"), help="folder for indexes; reused when there")
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--peers", default="numpy,faiss-flat,faiss-ivf,faiss-hnsw,hnswlib")
    parser.add_argument("--name", default="recommend", help="name of the files written")
    parser.add_argument("--graph", choices=GRAPH, default="auto", help="auto: from 200,000 films on")
    parser.add_argument("--probe", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.probe:
        probe(options.probe)
        return
    cache = options.work / f"{options.rows}x{options.dim}"
    paths = Paths(cache / f"home-{options.graph}").ensure()
    world = make_world(options.rows, options.dim)
    built = build(world, paths, graph=GRAPH[options.graph])
    sys.stderr.write(f"{built}\n")
    child = subprocess.run(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "benchmarks.bench_recommend", "--probe", str(paths.home)],
        check=True,
        capture_output=True,
        text=True,
    )
    index = {**built, **json.loads(child.stdout)}
    opened = open_version(paths)
    opened.warm()
    truth = {cell: true_answers(world, *cell, options.queries) for cell in CELLS}
    cells = []
    for make in systems(world, opened, cache, options.peers.split(",")):
        system = make()
        index[f"build_s of {system.name}"] = getattr(system, "build_s", None)
        for kind, share in CELLS:
            cells.append(measure_cell(world, system, truth[kind, share], kind, share, options.queries))
            sys.stderr.write(f"{cells[-1]}\n")
        del system
    report = {
        "world": {
            "rows": options.rows,
            "dim": options.dim,
            "requests": options.queries,
            "vector_bytes": world.vectors.nbytes,
        },
        "versions": versions(),
        "index": index,
        "cells": cells,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"{options.name}.json").write_text(json.dumps(report, indent=2) + "\n")
    (options.out / f"{options.name}.md").write_text(as_markdown(report))


if __name__ == "__main__":
    main()
