"""The committed benchmark scored again and again: is this index version better or worse than the one before?

An index version is judged with its own blocks, weights and pooling on a benchmark whose every byte is known. The figure
is precision@5, the mean over *all* users of the test part: who has nothing relevant in it counts as 0. Evaluation
elsewhere in this project leaves such users out, as libraries do (one of them reported 0.239 for a true 0.219), which
compares recommenders as well but flatters the level: a floor of 20 % would be passed wrongly.

Two scores are compared user by user, and only on one and the same version of the benchmark.
"""

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import JSON, BigInteger, DateTime, Double, Integer, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from workspace.checks import check_scalar
from workspace.errors import IntegrityError, StateError, UnknownError
from workspace.files import write_json
from workspace.store import Base

if TYPE_CHECKING:
    import pandas as pd

    from recommender.evaluation.comparison import Comparison
    from recommender.evaluation.judge import Judged
    from recommender.evaluation.protocols import Split
    from recommender.index import Manifest

Floats = NDArray[np.float64]
Vectors = NDArray[np.float32]
Embed = Callable[["pd.DataFrame"], tuple[Vectors, str]]

NAME: Final = "drift.benchmark"
METRIC: Final = "precision_at_5"
K: Final = 5
ALPHA: Final = 0.01
LEAST_REL: Final = 0.05
"""Least relative change of precision@5 worth an alarm."""
LEAST_SCORES: Final = 2
_FOLDER: Final = "benchmark"
_MOST: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkFrames:
    """A benchmark: the frames of a catalogue, and the version that vouches for them.

    Args:
        version: What changes whenever the frames do.
        films: Columns `Film.ALL`.
        users: Columns `User.ALL`.
        interactions: Columns `Interaction.ALL`.
    """

    version: str
    films: "pd.DataFrame"
    users: "pd.DataFrame"
    interactions: "pd.DataFrame"


class ScoreRow(Base):
    """One score as stored."""

    __tablename__ = "benchmark_scores"

    seq: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=True
    )
    index_version: Mapped[str] = mapped_column(Text, index=True)
    benchmark_version: Mapped[str] = mapped_column(String(64))
    k: Mapped[int] = mapped_column(Integer)
    users: Mapped[int] = mapped_column(Integer)
    precision: Mapped[float] = mapped_column(Double)
    low: Mapped[float] = mapped_column(Double)
    high: Mapped[float] = mapped_column(Double)
    per_user: Mapped[str] = mapped_column(Text)
    scored_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkScore:
    """How good one index version is on the benchmark.

    Args:
        index_version: The version.
        benchmark_version: That of the benchmark.
        k: Length of the lists.
        precision: Mean over all users of the test part, with its interval.
        user_ids: The users, made up as all of the benchmark is.
        per_user: precision@k of each, shape (n_users,); 0 for who has nothing relevant.
        without_positive: How many have nothing relevant.
        flattering: The mean without them; None when that is nobody's.
        scored_at: When.
        details: Weights, protocol, encoder, seconds.
    """

    index_version: str
    benchmark_version: str
    k: int
    precision: Interval
    user_ids: tuple[str, ...]
    per_user: Floats = field(repr=False)
    without_positive: int
    flattering: float | None
    scored_at: dt.datetime
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, without the figures of single users."""
        return {
            "index_version": self.index_version,
            "benchmark_version": self.benchmark_version,
            "k": self.k,
            "precision": self.precision.to_dict(),
            "users": len(self.user_ids),
            "without_positive": self.without_positive,
            "without_them": self.flattering,
            "scored_at": self.scored_at.isoformat(),
            "details": dict(self.details),
        }


def rescore(
    ground: Ground, benchmark: BenchmarkFrames, *, version: str | None = None, k: int = K, embed: Embed | None = None
) -> BenchmarkScore:
    """Judge an index version on the benchmark and keep the score.

    Args:
        ground: Where the versions are, and the scores go.
        benchmark: What it is judged on.
        version: The index version; None is the current one.
        k: Length of the lists.
        embed: Gives the text vectors of films and the encoder's name; None takes the workspace's encoder.

    Raises:
        StateError: When no version is current, or the encoder at hand is not the version's.
        UnknownError: When there is no such version.
        EncoderError: When the encoder can't be loaded.
    """
    began = time.perf_counter()
    manifest = _manifest(ground, version)
    judged, one, users = _judged(ground, manifest, benchmark, k, embed)
    codes, per_user = everyone(judged, one)
    found = made(
        manifest.version,
        benchmark.version,
        [users[code] for code in codes],
        per_user,
        judged_users=len(judged.users),
        scored_at=ground.clock.now(),
        k=k,
        details={
            "weights": dict(manifest.extra["weights"]),
            "encoder": manifest.extra["encoder"],
            "protocol": "temporal",
            "seconds": round(time.perf_counter() - began, 2),
        },
    )
    keep(ground, found)
    return found


def everyone(judged: "Judged", one: "Split") -> tuple[NDArray[np.int64], Floats]:
    """Return all users of a test part and the precision of each: 0 for who has nothing relevant in it.

    Args:
        judged: The figures of those who have.
        one: The split they were judged on.

    Returns:
        User codes, increasing, and precision@k, shape (n_users,) each.
    """
    from recommender.evaluation.judge import PRECISION

    # Who has no training act asks at no known time and has no history to be judged by.
    codes = np.intersect1d(np.unique(one.test.users), np.unique(one.train.users))
    codes = np.union1d(codes, judged.users)
    out = np.zeros(len(codes))
    out[np.searchsorted(codes, judged.users)] = judged.per_user[PRECISION]
    return codes, out


def made(
    index_version: str,
    benchmark_version: str,
    user_ids: Sequence[str],
    per_user: Floats,
    *,
    judged_users: int,
    scored_at: dt.datetime,
    k: int = K,
    details: Mapping[str, Any] | None = None,
) -> BenchmarkScore:
    """Sum the figures of users up to a score.

    Args:
        index_version: The version.
        benchmark_version: That of the benchmark.
        user_ids: The users.
        per_user: precision@k of each.
        judged_users: How many of them have something relevant in the test part.
        scored_at: When.
        k: Length of the lists.
        details: Facts to keep.

    Example:
        >>> at = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        >>> made("v1", "b1", ["a", "b"], np.array([0.4, 0.0]), judged_users=1, scored_at=at).precision.value
        0.2
    """
    from recommender.evaluation.metrics import mean_over_users

    check_scalar(len(per_user), "users of the benchmark", ge=1)
    mean = mean_over_users(per_user)
    known = not np.isnan(mean.low)
    return BenchmarkScore(
        index_version=index_version,
        benchmark_version=benchmark_version,
        k=k,
        precision=Interval(value=mean.value, low=mean.low if known else None, high=mean.high if known else None),
        user_ids=tuple(user_ids),
        per_user=per_user,
        without_positive=len(per_user) - judged_users,
        flattering=float(per_user.sum() / judged_users) if judged_users else None,
        scored_at=scored_at,
        details=dict(details or {}),
    )


def keep(ground: Ground, score: BenchmarkScore) -> None:
    """Store a score: first the figures of its users as a file, then the row that names it."""
    content = {"users": list(score.user_ids), "precision": score.per_user.tolist()}
    stamp = hashlib.sha256(f"{score.index_version}{score.benchmark_version}{score.scored_at}".encode()).hexdigest()[:8]
    folder = ground.paths.monitoring / _FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{score.index_version}-{stamp}.json"
    write_json(folder / name, content)
    more = {"without_positive": score.without_positive, "flattering": score.flattering, "sha256": _digest(content)}
    with ground.store.session() as session:
        session.add(
            ScoreRow(
                index_version=score.index_version,
                benchmark_version=score.benchmark_version,
                k=score.k,
                users=len(score.user_ids),
                precision=score.precision.value,
                # A single user has no interval; the column asks for one.
                low=score.precision.value if score.precision.low is None else score.precision.low,
                high=score.precision.value if score.precision.high is None else score.precision.high,
                per_user=name,
                scored_at=score.scored_at,
                details={**score.details, **more},
            )
        )


def history(ground: Ground, limit: int = 50) -> list[BenchmarkScore]:
    """Return the scores kept, the newest first.

    Raises:
        IntegrityError: When the figures of the users of a score are missing or damaged.
    """
    check_scalar(limit, "limit", ge=1, le=_MOST)
    with ground.store.reading() as session:
        rows = session.scalars(select(ScoreRow).order_by(ScoreRow.seq.desc()).limit(limit)).all()
        return [_read(ground, row) for row in rows]


def against_history(score: BenchmarkScore, earlier: Sequence[BenchmarkScore]) -> "Comparison":
    """Compare a score with the one before it, user by user.

    Args:
        score: The newest.
        earlier: Those before it, the newest first.

    Returns:
        Better, worse or no difference at the 1 % level, with the interval of the difference.

    Raises:
        StateError: When there is none before, or a benchmark changed under the history.
    """
    from recommender.evaluation.comparison import compare

    if not earlier:
        raise StateError("the history holds 1 score, 2 are needed", hint="score another index version")
    strange = [one for one in earlier if (one.benchmark_version, one.k) != (score.benchmark_version, score.k)]
    if strange:
        raise StateError(
            f"a benchmark changed under the history: {strange[0].index_version} was scored on "
            f"{strange[0].benchmark_version} at k = {strange[0].k}, {score.index_version} on "
            f"{score.benchmark_version} at k = {score.k}",
            "must be the same",
            "score the earlier versions again on the new benchmark",
        )
    before = earlier[0]
    place = {user: number for number, user in enumerate(before.user_ids)}
    paired = np.array([before.per_user[place[user]] if user in place else np.nan for user in score.user_ids])
    return compare(
        score.per_user, paired, names=(score.index_version, before.index_version), metric=METRIC, alpha=ALPHA
    )


class BenchmarkDrift:
    """Compares the newest score with the one before it."""

    name: Final = NAME
    metrics: Final = (METRIC,)

    def look(self, ground: Ground) -> Outcome:
        """Compare the newest score with the newest of another index version."""
        began = time.perf_counter()
        scores = history(ground)
        if len(scores) < LEAST_SCORES:
            lack = f"{len(scores)} of {LEAST_SCORES} benchmark scores are there"
            return Outcome(detector=self.name, notes=(f"not estimable: {lack}",), looked_at=len(scores))
        score = scores[0]
        earlier = [one for one in scores[1:] if one.index_version != score.index_version] or scores[1:]
        # An old benchmark further back hides nothing: what counts is the score before.
        try:
            verdict = against_history(score, earlier[:1])
        except StateError as error:
            return Outcome(detector=self.name, notes=(f"refused: {error.what}",), looked_at=len(scores))
        found = _finding(score, earlier[0], verdict)
        return Outcome(
            detector=self.name,
            findings=() if found is None else (found,),
            looked_at=len(scores),
            seconds=time.perf_counter() - began,
        )


def _finding(score: BenchmarkScore, before: BenchmarkScore, verdict: "Comparison") -> Finding | None:
    base = before.precision.value
    relative = verdict.difference / base if base > 0 else float("inf")
    if verdict.verdict == "no difference" or abs(relative) < LEAST_REL:
        return None
    low, high = verdict.ci95
    unit = "relative" if base > 0 else METRIC
    scale = base if base > 0 else 1.0
    return Finding(
        detector=NAME,
        metric=METRIC,
        segment={"index_version": score.index_version},
        onset=Onset(at=score.scored_at, low=min(before.scored_at, score.scored_at), high=score.scored_at),
        effect=Interval(value=verdict.difference / scale, low=low / scale, high=high / scale),
        unit=unit,
        p_value=verdict.p_value,
        severity=Severity.CRITICAL if verdict.verdict == "worse" else Severity.INFO,
        summary=(
            f"On the benchmark index version {score.index_version} is {verdict.verdict} than {before.index_version}: "
            f"precision@{score.k} {score.precision.value:.3f} instead of {base:.3f}, {verdict.users} users alike."
        ),
        evidence={"before": base, "within": score.precision.value, "users": verdict.users,
                  "benchmark": score.benchmark_version, "without_positive": score.without_positive},
    )  # fmt: skip


def _manifest(ground: Ground, version: str | None) -> "Manifest":
    from recommender import index

    wanted = version or index.current_version(ground.paths)
    if wanted is None:
        raise StateError("no index version is current", hint="build one: recommendr index build")
    for one in index.list_versions(ground.paths):
        if one.version == wanted:
            return one
    raise UnknownError(f"index version {wanted!r} is not there", hint="see recommendr index list")


def _judged(
    ground: Ground, manifest: "Manifest", benchmark: BenchmarkFrames, k: int, embed: Embed | None
) -> "tuple[Judged, Split, list[str]]":
    from recommender.building import embed_films
    from recommender.catalogue import build_catalogue
    from recommender.configuration import Configuration
    from recommender.evaluation.ground import Ground as Judging
    from recommender.evaluation.judge import judge
    from recommender.evaluation.protocols import split
    from recommender.evaluation.subject import Subject
    from recommender.features import layout
    from workspace.columns import User

    catalogue = build_catalogue(benchmark.films, benchmark.users, benchmark.interactions)
    blocks = tuple(manifest.extra["blocks"])
    configuration = Configuration.from_dict(manifest.extra)
    text = None
    if layout.TEXT in blocks:
        text, encoder = (embed or (lambda films: embed_films(ground.settings, films)))(catalogue.films)
        if encoder != manifest.extra["encoder"]:
            raise StateError(
                f"the encoder is {encoder}, index version {manifest.version} was built with "
                f"{manifest.extra['encoder']}",
                "must be the same",
                "set the encoder of the version, or score a version built with this one",
            )
    judging = Judging.of(catalogue)
    one = split(judging.acts, "temporal")[0]
    weights = {name: configuration.weights.get(name, 0.0) for name in blocks}
    subject = Subject.of(judging, text=text, blocks=blocks, pooling=configuration.pooling, weights=weights)
    return judge(subject, judging, [one], k=k), one, catalogue.users[User.ID].tolist()


def _read(ground: Ground, row: ScoreRow) -> BenchmarkScore:
    path = ground.paths.monitoring / _FOLDER / row.per_user
    try:
        content = json.loads(path.read_text("utf-8"))
        per_user = np.asarray(content["precision"], dtype=np.float64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            f"the figures of the users of a benchmark score, {path.name}, can't be read",
            hint="score the index version again",
        ) from error
    if _digest(content) != row.details.get("sha256") or len(per_user) != row.users:
        raise IntegrityError(f"{path.name} is not what was stored", hint="score the index version again")
    scored_at = row.scored_at if row.scored_at.tzinfo else row.scored_at.replace(tzinfo=dt.UTC)
    flattering = row.details.get("flattering")
    return BenchmarkScore(
        index_version=row.index_version,
        benchmark_version=row.benchmark_version,
        k=row.k,
        precision=Interval(value=row.precision, low=row.low, high=row.high),
        user_ids=tuple(content["users"]),
        per_user=per_user,
        without_positive=int(row.details.get("without_positive", 0)),
        flattering=None if flattering is None else float(flattering),
        scored_at=scored_at,
        details={key: value for key, value in row.details.items() if key not in {"sha256", "flattering"}},
    )


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
