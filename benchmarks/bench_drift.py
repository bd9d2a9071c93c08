"""Drift of a million rows against a million, and outliers among 100,000, beside the libraries one would take.

    python -m benchmarks.bench_drift --out docs/benchmarks \
        --nannyml PYTHON --evidently PYTHON --pyod PYTHON

The peers are not dependencies of ours: each runs in a virtual environment of its own, whose interpreter is named by an
option (``pip install nannyml statsmodels``; ``pip install evidently "pandas<3"``; ``pip install pyod``). One that is
not named, or can't be imported, is skipped and the page says why. All of them, and we, read the same two Parquet files
of eight columns, one of which has changed; each runs in a process of its own, one after the other. Timed is the way
from the files to the verdict, without imports. Run on an otherwise idle machine.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

ROWS: Final = 1_000_000
COLUMNS: Final = tuple(f"x{number}" for number in range(8))
CHANGED: Final = "x7"
OUTLIER_ROWS: Final = 100_000
OUTLIER_COLUMNS: Final = 50
REPEATS: Final = 5
PEER_REPEATS: Final = 3
LONGEST_S: Final = 1_500
SEED: Final = 20_251_027
PACKAGES: Final = ("duckdb", "numpy", "pandas", "scikit-learn", "scipy")

_FRAME: Final = """
import json, resource, sys, time, warnings
warnings.filterwarnings("ignore")
before, after, repeats = sys.argv[1], sys.argv[2], int(sys.argv[3])
def timed(work):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds, "found": found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
"""
_OURS: Final = """
from pathlib import Path
import duckdb, scipy.stats, statsmodels.stats.multitest
from monitoring.inputs import compare
columns = [f"x{number}" for number in range(8)]
def moments():
    sql = ", ".join(f"COUNT({c}), AVG({c}), STDDEV_SAMP({c})" for c in columns)
    with duckdb.connect(config={"threads": 2}) as connection:
        ask = f"SELECT {sql} FROM read_parquet(?)"
        sides = [connection.execute(ask, [path]).fetchone() for path in (before, after)]
    out = []
    for place, column in enumerate(columns):
        (n, mean, sd), (m, other, spread) = (side[3 * place : 3 * place + 3] for side in sides)
        if scipy.stats.ttest_ind_from_stats(mean, sd, n, other, spread, m, equal_var=False).pvalue < 0.001:
            out.append(column)
    return out
def everything():
    return [one.column for one in compare(Path(before), Path(after), columns).drifted]
everything()
result = {"moments and Welch": timed(moments), "compare (all tests, PSI, Wasserstein)": timed(everything)}
print(json.dumps({"version": duckdb.__version__, "runs": result}))
"""
_NANNYML: Final = """
import pandas, nannyml
columns = [f"x{number}" for number in range(8)]
def method(name):
    def work():
        reference, current = pandas.read_parquet(before), pandas.read_parquet(after)
        calculator = nannyml.UnivariateDriftCalculator(column_names=columns, chunk_number=1, continuous_methods=[name])
        table = calculator.fit(reference).calculate(current).filter(period="analysis").to_df()
        # With one chunk there is no spread to derive a threshold from: what stands out is taken by hand.
        values = {c: float(table[(c, name, "value")].iloc[0]) for c in columns}
        return [c for c in columns if values[c] > 5 * sorted(values.values())[len(columns) // 2]]
    return work
names = ("kolmogorov_smirnov", "jensen_shannon", "wasserstein")
result = {name: timed(method(name)) for name in names}
print(json.dumps({"version": f"{nannyml.__version__}, pandas {pandas.__version__}", "runs": result}))
"""
_EVIDENTLY: Final = """
import evidently, pandas
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
columns = [f"x{number}" for number in range(8)]
def work():
    about = DataDefinition(numerical_columns=columns)
    reference, current = (Dataset.from_pandas(pandas.read_parquet(path), data_definition=about)
                          for path in (before, after))
    metrics = Report([DataDriftPreset()]).run(current, reference).dict()["metrics"]
    return [c for c in columns for one in metrics
            if f"column={c}," in one["metric_name"] and float(one["value"]) > 0.1]
result = {"DataDriftPreset": timed(work)}
print(json.dumps({"version": f"{evidently.__version__}, pandas {pandas.__version__}", "runs": result}))
"""
_OUTLIERS: Final = """
import numpy
import sklearn.covariance, sklearn.ensemble
from monitoring.outliers import Forest, Mahalanobis
rows = numpy.load(before)
result = {}
for scorer in (Forest, Mahalanobis):
    learnt = {}
    def fit(scorer=scorer):
        learnt["one"] = scorer().fit(rows)
    def score():
        return numpy.argsort(-learnt["one"].score(rows))[:10].tolist()
    result[f"{scorer().name}: fit"] = timed(fit)
    result[f"{scorer().name}: score"] = timed(score)
print(json.dumps({"version": sklearn.__version__, "runs": result}))
"""
_PYOD: Final = """
import numpy, pyod
from pyod.models.ecod import ECOD
rows = numpy.load(before)
learnt = {}
def fit():
    learnt["one"] = ECOD().fit(rows)
def score():
    return numpy.argsort(-learnt["one"].decision_function(rows))[:10].tolist()
result = {"ECOD: fit": timed(fit), "ECOD: score": timed(score)}
print(json.dumps({"version": pyod.__version__, "runs": result}))
"""


def write_samples(folder: Path) -> tuple[Path, Path]:
    """Write two samples: four normal columns, four log-normal ones, the last of which grows by 30 %."""
    rng = np.random.default_rng(SEED)
    paths = []
    for name, factor in (("reference", 1.0), ("current", 1.3)):
        columns = {column: rng.normal(size=ROWS) for column in COLUMNS[:4]}
        columns |= {column: rng.lognormal(size=ROWS) for column in COLUMNS[4:]}
        columns[CHANGED] *= factor
        paths.append(folder / f"{name}.parquet")
        pd.DataFrame(columns).to_parquet(paths[-1], index=False)
    return paths[0], paths[1]


def write_outliers(folder: Path) -> Path:
    """Write rows of a normal crowd; the first ten lie five standard deviations off in every column."""
    rows = np.random.default_rng(SEED).normal(size=(OUTLIER_ROWS, OUTLIER_COLUMNS))
    rows[:10] += 5.0
    path = folder / "rows.npy"
    np.save(path, rows)
    return path


def run(python: str | None, script: str, before: Path, after: Path, repeats: int) -> dict[str, Any]:
    """Run one of the scripts in an interpreter of its own; what can't be run says why."""
    if python is None:
        return {"skipped": "its interpreter was not named"}
    command = [python, "-c", _FRAME + script, str(before), str(after), str(repeats)]
    try:
        done = subprocess.run(  # noqa: S603 - our own arguments
            command, capture_output=True, text=True, timeout=LONGEST_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"skipped": f"{type(error).__name__}: {error}"[:200].replace(str(python), "its interpreter")}
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"skipped": said[:200]}
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print({name: one["seconds"] for name, one in found["runs"].items()}, flush=True)
    return found


def measure(folder: Path, peers: dict[str, str | None], peer_repeats: int = PEER_REPEATS) -> dict[str, Any]:
    """Run ourselves and every peer and return the figures."""
    before, after = write_samples(folder)
    rows = write_outliers(folder)
    return {
        "drift": {
            "ours": run(sys.executable, _OURS, before, after, REPEATS),
            "NannyML": run(peers["nannyml"], _NANNYML, before, after, peer_repeats),
            "Evidently": run(peers["evidently"], _EVIDENTLY, before, after, 1),
        },
        "outliers": {
            "ours": run(sys.executable, _OUTLIERS, rows, rows, PEER_REPEATS),
            "PyOD": run(peers["pyod"], _PYOD, rows, rows, peer_repeats),
        },
        "load": os.getloadavg()[0],
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    size = (
        f"{ROWS:,} rows against {ROWS:,}, {len(COLUMNS)} columns, of which `{CHANGED}` has changed: from two Parquet "
        f"files to the verdict, imports left out. {figures['processors']} processors, load {figures['load']:.1f} at "
        "the end; medians. Each in a process and an environment of its own."
    )
    lines = ["# Drift and outliers beside other libraries", "", size, ""]
    if figures["load"] > 1.5 * figures["processors"]:
        busy = "**The machine was busy with other work: the ratios hold, the seconds are several times too long.**"
        lines += [busy, ""]
    lines += [f"Written by `python -m benchmarks.bench_drift`; versions: {versions}.", ""]
    lines += _table("drift", figures["drift"], "compare (all tests, PSI, Wasserstein)", "columns found")
    lines += ["", f"{OUTLIER_ROWS:,} rows of {OUTLIER_COLUMNS} columns, ten of them odd.", ""]
    lines += _table("outliers", figures["outliers"], "isolation forest: fit", "ten oddest right")
    return "\n".join([*lines, ""])


def _table(title: str, parts: dict[str, Any], base: str, found: str) -> list[str]:
    ours = parts["ours"].get("runs", {}).get(base, {}).get("seconds")
    unit = float(np.median(ours)) if ours else float("nan")
    lines = [f"| {title} | median, s | slowest, s | runs | × {base} | peak, MB | {found} |"]
    lines += ["| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for who, one in parts.items():
        if "skipped" in one:
            lines.append(f"| {who} | skipped: {one['skipped']} | | | | | |")
            continue
        for name, timing in one["runs"].items():
            seconds = timing["seconds"]
            label = name if who == "ours" else f"{who} {one['version']}: {name}"
            lines.append(
                f"| {label} | {np.median(seconds):.2f} | {max(seconds):.2f} | {len(seconds)} | "
                f"{np.median(seconds) / unit:.1f} | {timing['peak_mb']:,.0f} | {_said(timing['found'])} |"
            )
    return lines


def _said(found: list[Any] | None) -> str:
    if found is None:
        return ""
    if all(isinstance(one, int) for one in found):
        return f"{len(set(found) & set(range(10)))} of 10" if found else "none"
    return ", ".join(found) or "none"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    for name in ("nannyml", "evidently", "pyod"):
        parser.add_argument(f"--{name}", help=f"interpreter of an environment with {name}; skipped when not given")
    parser.add_argument(
        "--peer-repeats", type=int, default=PEER_REPEATS, help="how often a peer is run; Evidently once"
    )
    arguments = parser.parse_args()
    peers = {name: getattr(arguments, name) for name in ("nannyml", "evidently", "pyod")}
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), peers, arguments.peer_repeats)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "drift.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "drift.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
