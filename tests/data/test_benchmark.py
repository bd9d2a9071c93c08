"""The committed benchmark is what its manifest says, hard enough, and can be made again."""

import json
import shutil
from pathlib import Path

import pytest

from data.synthetic import BENCHMARK, Benchmark, load_benchmark, measure
from data.synthetic.__main__ import main
from data.synthetic.benchmark import MANIFEST, compare_benchmark, make_benchmark
from data.synthetic.spec import GENERATOR_VERSION, WorldSpec
from workspace.columns import Film, Interaction, User
from workspace.errors import IntegrityError

FILES = sorted(path.name for path in BENCHMARK.iterdir())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BENCHMARK, tmp_path / "v1"))


def test_benchmark_is_hard_but_possible(benchmark: Benchmark) -> None:
    report = measure(benchmark.world)
    assert report.popularity <= 0.10
    assert report.oracle >= 0.40
    assert report.oracle_ci95[0] >= 0.40
    assert report.to_dict() == benchmark.manifest.figures


def test_benchmark_keeps_the_contracts(benchmark: Benchmark) -> None:
    world = benchmark.world
    assert world.films.columns.tolist() == list(Film.ALL)
    assert world.users.columns.tolist() == list(User.ALL)
    assert world.interactions.columns.tolist() == list(Interaction.ALL)
    assert all(type(cell) is list for cell in world.films[Film.CAST])
    assert world.films[Film.SYNOPSIS].is_unique
    assert world.films[Film.TITLE].nunique() >= 0.95 * len(world.films)


def test_benchmark_is_small(benchmark: Benchmark) -> None:
    assert sum(path.stat().st_size for path in BENCHMARK.iterdir()) <= 3_000_000
    assert benchmark.manifest.generator == GENERATOR_VERSION


def test_benchmark_can_be_made_again() -> None:
    # Other releases of numpy or pyarrow may store the same rows in other bytes; the rows themselves must agree.
    assert [line for line in compare_benchmark() if "same rows" not in line] == []


@pytest.mark.parametrize("name", [name for name in FILES if name != MANIFEST])
def test_load_benchmark_notices_a_flipped_byte(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match=name):
        load_benchmark(copy)


@pytest.mark.parametrize("name", FILES)
def test_load_benchmark_notices_a_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(IntegrityError, match=name):
        load_benchmark(copy)


def test_load_benchmark_notices_a_manifest_that_vouches_for_less(copy: Path) -> None:
    manifest = json.loads((copy / MANIFEST).read_text())
    del manifest["sha256"]["users.parquet"]
    (copy / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(IntegrityError, match="users"):
        load_benchmark(copy)


def test_load_benchmark_notices_a_broken_manifest(copy: Path) -> None:
    (copy / MANIFEST).write_text("{")
    with pytest.raises(IntegrityError, match="manifest"):
        load_benchmark(copy)


def test_compare_benchmark_names_what_differs(tmp_path: Path) -> None:
    folder = tmp_path / "v0"
    make_benchmark(folder, WorldSpec.from_dict({"films": 60, "users": 20, "seed": 2, "end": "2026-01-01"}))
    assert compare_benchmark(folder) == []
    (folder / "datasheet.md").write_text("changed")
    assert [line.split(":")[0] for line in compare_benchmark(folder)] == ["datasheet.md"]
    assert main(["make-benchmark", "--check", "--folder", str(folder)]) == 1


def test_main_streams_and_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ["--films", "60", "--users", "20", "--end", "2026-01-01"]
    assert main(["stream", *sizes, str(tmp_path / "world")]) == 0
    assert json.loads(capsys.readouterr().out)["users"] == 20
    assert main(["measure", *sizes]) == 0
    assert set(json.loads(capsys.readouterr().out)) >= {"oracle", "popularity"}
    assert main(["measure", "--films", "0"]) == 2
    assert "films == 0" in capsys.readouterr().err
