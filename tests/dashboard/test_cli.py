"""Every command on a small workspace: the keys of its JSON, its exit codes, and what it says to bad input."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboard.cli import app
from tests.dashboard.conftest import FILMS, SEED, USERS, call

TOLERANCE = 1e-6


@pytest.fixture
def copied(ready_home: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(ready_home, tmp_path / "home"))


@pytest.fixture(scope="session")
def users(ready_home: Path) -> Iterator[str]:
    from recommender.catalogue import load_catalogue
    from workspace.columns import Interaction
    from workspace.paths import Paths

    counts = load_catalogue(Paths(ready_home)).interactions[Interaction.USER].value_counts()
    return iter(counts.index.astype(str))


@pytest.fixture
def user(users: Iterator[str]) -> str:
    """A user of this test alone: films shown to others' users are not shown lately to this one."""
    return next(users)


def bare(home: Path, *arguments: object) -> str:
    """Run a command without ``--json``."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home)])
    assert result.exit_code == 0, result.stderr
    return str(result.stdout)


def ledger_actions(home: Path) -> list[str]:
    with sqlite3.connect(home / "recommendr.db") as connection:
        rows = connection.execute("SELECT action FROM ledger ORDER BY seq").fetchall()
    connection.close()
    return [action for (action,) in rows]


# init


def test_init_leaves_a_ready_workspace_as_it_is(ready_home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (ready_home / "indexes").rglob("*.npy")}
    again = call(ready_home, "init", "--weeks", 0)
    assert again.code == 0
    assert again.document["status"] == "ready"
    assert {"home", "snapshot_id", "index_version", "films", "users", "interactions", "quarantined"} < set(
        again.document
    )
    assert again.document["users"] == USERS
    assert before == {path: path.stat().st_mtime_ns for path in (ready_home / "indexes").rglob("*.npy")}


def test_init_writes_two_provider_feeds_and_the_ledger(ready_home: Path) -> None:
    assert len(list((ready_home / "providers").glob("*/films.parquet"))) == 2
    actions = ledger_actions(ready_home)
    assert actions[0] == "catalogue.import"
    assert any(action.startswith("index.") for action in actions)


def test_init_refuses_another_size_unless_forced(ready_home: Path) -> None:
    error = call(ready_home, "init", "--weeks", 0, "--films", FILMS + 1).error
    assert error["type"] == "StateError"
    assert f"films == {FILMS + 1}" in error["what"]
    assert "--force" in error["hint"]


def test_init_finishes_what_was_interrupted_before_the_index(copied: Path) -> None:
    shutil.rmtree(copied / "indexes")
    done = call(copied, "init", "--weeks", 0, "--films", FILMS, "--users", USERS, "--seed", SEED)
    assert done.document["status"] == "completed"
    assert call(copied, "index", "verify").code == 0


def test_init_finishes_what_was_interrupted_before_the_catalogue(copied: Path) -> None:
    for folder in ("indexes", "catalogue"):
        shutil.rmtree(copied / folder)
    assert (
        call(copied, "init", "--weeks", 0, "--films", FILMS, "--users", USERS, "--seed", SEED).document["status"]
        == "created"
    )


def test_init_by_force_builds_again(copied: Path) -> None:
    assert (
        call(copied, "init", "--weeks", 0, "--force", "--films", FILMS, "--users", USERS, "--seed", SEED).document[
            "status"
        ]
        == "created"
    )


@pytest.mark.parametrize("option", [("--films", 0), ("--users", -1), ("--seed", -5)])
def test_init_refuses_impossible_sizes(tmp_path: Path, option: tuple[str, int]) -> None:
    error = call(tmp_path / "new", "init", "--weeks", 0, *option).error
    assert error["type"] == "InvalidValueError"
    assert "must be" in error["limit"]


# recommend


def test_recommend_answers_with_the_keys_of_the_contract(ready_home: Path, user: str) -> None:
    document = call(ready_home, "recommend", user, "-k", 5).document
    assert {"slate_id", "user_id", "index_version", "items", "funnel"} <= set(document)
    assert document["user_id"] == user
    assert [item["rank"] for item in document["items"]] == [1, 2, 3, 4, 5]
    for item in document["items"]:
        assert set(item) == {"film_id", "title", "rank", "score", "contributions"}
        assert sum(item["contributions"].values()) == pytest.approx(item["score"], abs=TOLERANCE)
    assert {"rule", "remaining"} <= set(document["funnel"][0])
    assert document["funnel"][0]["remaining"] >= document["funnel"][-1]["remaining"] >= 5


def test_recommend_honours_its_filters(ready_home: Path, user: str) -> None:
    from recommender.catalogue import load_catalogue
    from workspace.columns import Film
    from workspace.paths import Paths

    films = load_catalogue(Paths(ready_home)).films.set_index(Film.ID)
    options = ("--exclude-genre", "Drama", "--exclude-genre", "War", "--max-age", 16, "--year-from", 1970)
    document = call(ready_home, "recommend", user, *options).document
    chosen = films.loc[[item["film_id"] for item in document["items"]]]
    assert len(chosen) == 5
    assert not {"Drama", "War"} & set(chosen[Film.GENRES].explode())
    assert chosen[Film.MINIMUM_AGE].max() <= 16
    assert chosen[Film.RELEASE_DATE].dt.year.min() >= 1970


def test_recommend_again_shows_other_films(ready_home: Path, user: str) -> None:
    first, second = (call(ready_home, "recommend", user).document["items"] for _ in range(2))
    assert not {item["film_id"] for item in first} & {item["film_id"] for item in second}


def test_recommend_with_k_beyond_the_catalogue_gives_what_is_lawful(ready_home: Path, user: str) -> None:
    answer = call(ready_home, "recommend", user, "-k", 10**9)
    if answer.code == 0:
        assert len(answer.document["items"]) == answer.document["funnel"][-1]["remaining"]
    else:
        assert "must be" in answer.error["limit"]


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("nobody",), "UnknownError", "nobody"),
        (("",), "UnknownError", "user"),
        (("USER", "-k", 0), "InvalidValueError", "k == 0"),
        (("USER", "-k", -3), "InvalidValueError", "k == -3"),
        (("USER", "--on", "1820-01-01"), "InvalidValueError", "1820-01-01"),
        (("USER", "--on", "soon"), "InvalidValueError", "soon"),
        (("USER", "--exclude-genre", "Dramma"), "InvalidValueError", "Drama"),
        (("USER", "--language", "Frensh"), "InvalidValueError", "Frensh"),
        (("USER", "--region", "UU"), "", "US"),
        (("USER", "--max-age", -1), "InvalidValueError", "maximum_age == -1"),
        (("USER", "--year-from", 2000, "--year-to", 1990), "InvalidValueError", "year_from"),
        (("USER", "--index", "v000000000000"), "UnknownError", "v000000000000"),
        (("USER", "--index", "../../etc"), "UnknownError", "etc"),
    ],
)
def test_recommend_names_bad_input(
    ready_home: Path, user: str, arguments: tuple[Any, ...], kind: str, words: str
) -> None:
    answer = call(ready_home, "recommend", *(user if argument == "USER" else argument for argument in arguments))
    assert kind in answer.error["type"]
    assert words in answer.stderr
    assert "Hint:" in answer.stderr or "must be one of" in answer.stderr


def test_recommend_reads_well_in_a_terminal(ready_home: Path, user: str) -> None:
    text = bare(ready_home, "recommend", user)
    assert "catalogue" in text
    assert user in text
    assert "{" not in text


# explain, why-not, replay


def test_explain_sums_to_the_score_in_each_view(ready_home: Path, user: str) -> None:
    film = call(ready_home, "recommend", user).document["items"][0]["film_id"]
    document = call(ready_home, "explain", user, film).document
    assert {"score", "blocks", "features", "history"} <= set(document)
    assert sum(document["blocks"].values()) == pytest.approx(document["score"], abs=TOLERANCE)
    for view, keys in (("features", {"block", "feature", "value"}), ("history", {"film_id", "title", "value"})):
        assert all(set(term) == keys for term in document[view])
        assert sum(term["value"] for term in document[view]) == pytest.approx(document["score"], abs=TOLERANCE)
    assert bare(ready_home, "explain", user, film).count("sum") == 3


@pytest.mark.parametrize(("who", "film", "word"), [("nobody", None, "nobody"), (None, "no-such-film", "no-such-film")])
def test_explain_names_whom_it_does_not_know(
    ready_home: Path, user: str, who: str | None, film: str | None, word: str
) -> None:
    error = call(ready_home, "explain", who or user, film or first_film(ready_home)).error
    assert error["type"] == "UnknownError"
    assert word in error["what"]


def first_film(home: Path) -> str:
    from recommender.catalogue import load_catalogue
    from workspace.columns import Film
    from workspace.paths import Paths

    return str(load_catalogue(Paths(home)).films[Film.ID].iloc[0])


def test_why_not_tells_the_verdicts_apart(ready_home: Path, user: str) -> None:
    from recommender.catalogue import load_catalogue
    from workspace.columns import Interaction
    from workspace.paths import Paths

    slate = call(ready_home, "recommend", user, "-k", 5).document
    inside = call(ready_home, "why-not", user, slate["items"][4]["film_id"]).document
    assert {"verdict", "rule", "rank", "gap"} <= set(inside)
    assert inside["verdict"] == "recommended"
    unknown = call(ready_home, "why-not", user, "no-such-film")
    assert unknown.code == 0
    assert unknown.document["verdict"] == "unknown"
    seen = str(load_catalogue(Paths(ready_home)).history(user)[Interaction.FILM].iloc[0])
    stopped = call(ready_home, "why-not", user, seen).document
    assert (stopped["verdict"], stopped["rule"]) == ("rule", "seen")
    far = call(ready_home, "recommend", user, "-k", 60).document["items"][-1]["film_id"]
    outside = call(ready_home, "why-not", user, far).document
    assert outside["verdict"] in {"outranked", "not_candidate", "rule"}
    assert outside["verdict"] in bare(ready_home, "why-not", user, far)
    assert call(ready_home, "why-not", "nobody", far).error["type"] == "UnknownError"


def test_replay_is_identical(ready_home: Path, user: str) -> None:
    slate = call(ready_home, "recommend", user, "--exclude-genre", "Drama", "--seed", 3).document
    document = call(ready_home, "replay", slate["slate_id"]).document
    assert document["identical"] is True
    assert [item["film_id"] for item in document["items"]] == [item["film_id"] for item in slate["items"]]
    assert "identical, bit for bit" in bare(ready_home, "replay", slate["slate_id"])


def test_replay_names_an_unknown_slate(ready_home: Path) -> None:
    assert call(ready_home, "replay", "slate_0").error["type"] == "UnknownError"


# index


def test_index_versions_are_built_listed_switched_and_rolled_back(copied: Path, user: str) -> None:
    first = call(copied, "index", "list").document["current"]
    built = call(copied, "index", "build", "--without", "text").document
    listed = call(copied, "index", "list").document
    assert listed["current"] == built["version"] != first
    assert "text" not in built["blocks"]
    assert {version["version"] for version in listed["versions"]} == {first, built["version"]}
    assert call(copied, "recommend", user, "--index", first).document["index_version"] == first
    assert call(copied, "recommend", user).document["index_version"] == built["version"]
    assert call(copied, "index", "rollback").document == {"current": first, "previous": built["version"]}
    switched = call(copied, "index", "switch", built["version"]).document
    assert switched == {"current": built["version"], "previous": first}
    assert {"index.switch", "index.rollback"} <= set(ledger_actions(copied))
    assert built["version"] in bare(copied, "index", "list")


def test_index_build_with_only_some_blocks(copied: Path, user: str) -> None:
    built = call(copied, "index", "build", "--only-blocks", "genre, popularity").document
    assert set(built["blocks"]) == {"genre", "popularity"}
    item = call(copied, "recommend", user).document["items"][0]
    assert {block for block, value in item["contributions"].items() if value} <= {"genre", "popularity"}


def test_index_build_incremental_of_nothing_new_serves(copied: Path, user: str) -> None:
    assert call(copied, "index", "build", "--strategy", "incremental").code == 0
    assert len(call(copied, "recommend", user).document["items"]) == 5


@pytest.mark.parametrize("arguments", [("--without", "txt"), ("--only-blocks", "gnre"), ("--only-blocks", ",")])
def test_index_build_names_an_unknown_block(ready_home: Path, arguments: tuple[str, ...]) -> None:
    error = call(ready_home, "index", "build", *arguments).error
    assert error["type"] in {"InvalidValueError", "UnknownError"}


@pytest.mark.parametrize("command", ["switch", "verify"])
def test_index_names_an_unknown_version(ready_home: Path, command: str) -> None:
    assert call(ready_home, "index", command, "v000000000000").error["type"] == "UnknownError"


def test_index_rollback_without_an_earlier_version_is_named(ready_home: Path) -> None:
    assert call(ready_home, "index", "rollback").error["type"] == "StateError"


def test_index_verify_finds_one_flipped_bit(copied: Path) -> None:
    assert call(copied, "index", "verify").document["ok"] is True
    version = call(copied, "index", "list").document["current"]
    victim = max((copied / "indexes" / version).rglob("*.npy"), key=lambda path: path.stat().st_size)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    damaged = call(copied, "index", "verify")
    assert damaged.code == 1
    assert damaged.document["ok"] is False
    assert victim.name in str(damaged.document["versions"])
    assert call(copied, "index", "switch", version).error["type"] == "IntegrityError"
    result = CliRunner().invoke(app, ["index", "verify", "--home", str(copied)])
    assert result.exit_code == 1
    assert victim.name in result.stdout.replace("\n", "")


def test_truncated_index_is_an_error_not_a_crash(copied: Path, user: str) -> None:
    version = call(copied, "index", "list").document["current"]
    for victim in (copied / "indexes" / version).rglob("*.npy"):
        victim.write_bytes(victim.read_bytes()[:100])
    assert call(copied, "recommend", user).error["type"] == "IntegrityError"


def test_workspace_without_index_says_what_to_do(copied: Path, user: str) -> None:
    shutil.rmtree(copied / "indexes")
    error = call(copied, "recommend", user).error
    assert error["type"] == "StateError"
    assert "recommendr" in error["hint"]
    assert call(copied, "index", "list").document["versions"] == []


# import


@pytest.fixture
def movielens(tmp_path: Path) -> Path:
    folder = tmp_path / "ml"
    folder.mkdir()
    films = ["movieId,title,genres"]
    films += [f"{n},Film {n} ({1980 + n}),{'Drama|Comedy' if n % 2 else 'Action'}" for n in range(1, 31)]
    films += ["31,,Drama", "1,Film again (1999),Drama"]
    (folder / "movies.csv").write_text("\n".join(films) + "\n")
    (folder / "links.csv").write_text("\n".join(["movieId,imdbId,tmdbId", *(f"{n},{n},{n}" for n in range(1, 31))]))
    ratings = ["userId,movieId,rating,timestamp"]
    ratings += [f"{u},{n},{1 + (u * n) % 5}.0,{1_300_000_000 + 86_400 * n}" for u in (1, 2, 3) for n in range(u, 20)]
    ratings += ["1,5,9.5,1300000000", "1,999,3.0,1300000000"]
    (folder / "ratings.csv").write_text("\n".join(ratings) + "\n")
    return folder


def test_import_movielens_accounts_for_every_row(movielens: Path, tmp_path: Path) -> None:
    document = call(tmp_path / "new", "import", "movielens", movielens).document
    assert document["balanced"] is True
    assert document["films"] == 30
    assert document["users"] == 3
    assert document["quarantined"] >= 4
    assert document["next"] == "recommendr index build"
    ratings = next(file for file in document["files"] if file["name"] == "ratings.csv")
    assert ratings["read"] == ratings["loaded"] + sum(ratings["refused"].values()) + sum(ratings["set_aside"].values())
    text = bare(tmp_path / "new", "import", "movielens", movielens)
    assert "Every row is accounted for." in text
    assert "Next: recommendr index build" in text


def test_index_of_another_catalogue_says_what_to_do(copied: Path, movielens: Path) -> None:
    assert call(copied, "import", "movielens", movielens).code == 0
    assert "recommendr index build" in call(copied, "recommend", "1").error["hint"]
    assert call(copied, "init", "--weeks", 0).document["status"] == "completed"
    assert len(call(copied, "recommend", "1").document["items"]) == 5


@pytest.mark.parametrize("case", ["missing", "a file", "an empty folder", "a missing column", "no encoding"])
def test_import_movielens_names_what_it_cannot_read(movielens: Path, tmp_path: Path, case: str) -> None:
    path = movielens
    if case == "missing":
        path = tmp_path / "nowhere"
    elif case == "a file":
        path = movielens / "movies.csv"
    elif case == "an empty folder":
        path = tmp_path / "empty"
        path.mkdir()
    elif case == "a missing column":
        (movielens / "ratings.csv").write_text("userId,movieId,timestamp\n1,1,1300000000\n")
    else:
        (movielens / "movies.csv").write_bytes(b"\x00\xff\xfe\x00" * 64)
    error = call(tmp_path / "new", "import", "movielens", path).error
    assert error["type"] == "SchemaError"


# evaluate


def test_evaluate_answers_with_the_keys_of_the_contract_and_is_a_gate(ready_home: Path) -> None:
    document = call(ready_home, "evaluate", "--baseline", "popularity").document
    figures = {"precision_at_k", "ci95", "hit_rate", "ndcg_at_k", "coverage"}
    assert figures | {"protocol", "k", "users", "baselines"} <= set(document)
    assert document["protocol"] == "temporal"
    assert 0 <= document["baselines"]["popularity"]["precision_at_k"] <= 1
    assert document["ci95"][0] <= document["precision_at_k"] <= document["ci95"][1]
    below = call(ready_home, "evaluate", "--min-precision", 0.99)
    assert below.code == 1
    assert below.document["precision_at_k"] == pytest.approx(document["precision_at_k"])


def test_evaluate_compares_with_another_version_user_by_user(copied: Path) -> None:
    version = call(copied, "index", "build", "--only-blocks", "collection").document["version"]
    answer = call(copied, "evaluate", "--without", "text", "--compare", version, "--min-precision", 0)
    assert answer.code == 0
    comparison = answer.document["comparison"]
    assert comparison["baseline"] == version
    assert comparison["verdict"] == "better"
    assert comparison["ci95"][0] <= comparison["difference"] <= comparison["ci95"][1]


def test_evaluate_stops_a_pipeline_whose_features_got_worse(copied: Path) -> None:
    full = call(copied, "index", "build", "--without", "text").document["version"]
    left = ["text", "genre", "keyword", "people", "collection", "audience", "acclaim", "popularity", "quality"]
    answer = call(copied, "evaluate", *(word for block in left for word in ("--without", block)), "--compare", full)
    assert answer.document["comparison"]["verdict"] == "worse"
    assert answer.code == 1
    assert f"worse than {full}" in answer.stderr


@pytest.mark.parametrize(
    "arguments", [("--baseline", "magic"), ("--without", "txt"), ("-k", 0), ("--min-precision", 2), ("--compare", "v0")]
)
def test_evaluate_names_bad_input(ready_home: Path, arguments: tuple[Any, ...]) -> None:
    assert call(ready_home, "evaluate", *arguments).error["type"] in {"InvalidValueError", "UnknownError"}


# dashboard


@pytest.fixture
def console(ready_home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    code = "from dashboard.cli import app; app()"
    from dashboard.cli.workspaces import free_port

    arguments = ["dashboard", "--port", str(free_port()), "--home", str(ready_home), "--json"]
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = ""
    while not lines.rstrip().endswith("}"):
        lines += process.stdout.readline()
    yield process, json.loads(lines)["url"]
    process.terminate()
    process.wait(20)
    process.stdout.close()


def test_dashboard_serves_until_it_is_told_to_stop(console: tuple[subprocess.Popen[str], str]) -> None:
    process, url = console
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=5) as reply:  # noqa: S310 - our own server
                assert reply.status == 200
                break
        except OSError:
            assert time.monotonic() < deadline
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"the server ended with {process.wait(0.2)}")
