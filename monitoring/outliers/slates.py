"""Slates that are composed oddly, in the recommendation log: short ones, one lead or collection again and again.

A slate is measured by five features (`Conduct.OF_SLATE`). One index version against all others is a test on users, not
on slates: each user counts once, with the mean of its slates. Slates that are short need no comparison.

Telemetry has slates too, of which only the shown films are known; those are looked at by ``drift.slates``.
"""

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from monitoring.outliers.episodes import crowd_of
from monitoring.outliers.scorers import LEAST_ROWS, Forest, Scorer
from recommender.slates import SlateItemRow, SlateRow
from workspace.columns import Conduct, Event, Film

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "outliers.slates"
MOST_SLATES: Final = 5_000
LEVEL: Final = 1e-3
LEAST: Final = {
    Conduct.SAME_LEAD: 0.5,
    Conduct.SAME_GENRE: 0.15,
    Conduct.SAME_COLLECTION: 0.5,
    Conduct.GAP: 0.15,
}
"""How much a version's mean must lie above the others', in films or shares, to be worth a finding."""
SHORT_SHARE: Final = 0.05
MEANINGS: Final = {
    Conduct.SAME_LEAD: "films with a lead that stands further up already",
    Conduct.SAME_GENRE: "of the commonest genre",
    Conduct.SAME_COLLECTION: "films of a collection that stands further up already",
    Conduct.GAP: "between two neighbours' scores, of the first one's",
}


class OddSlates:
    """The detector ``outliers.slates``."""

    name: Final = NAME

    def look(self, ground: Ground) -> Outcome:
        """Look at the newest slates of the log; see `Detector.look`."""
        began = time.perf_counter()
        slates = composition(ground)
        if len(slates) < LEAST_ROWS:
            note = f"not estimable: {len(slates)} slates are logged, {LEAST_ROWS - len(slates)} fewer than {LEAST_ROWS}"
            return Outcome(detector=NAME, notes=(note,), looked_at=len(slates))
        findings, notes = _by_version(ground, slates)
        short = _short(ground, slates)
        return Outcome(
            detector=NAME,
            findings=(*findings, *([short] if short else [])),
            notes=tuple(notes),
            looked_at=len(slates),
            seconds=time.perf_counter() - began,
        )


def composition(ground: Ground, limit: int = MOST_SLATES) -> "pd.DataFrame":
    """Return the newest slates with their features, one row each; a feature that needs a catalogue is NaN without.

    Individual level: the caller makes sure of role and reason.

    Args:
        ground: The stores.
        limit: How many.

    Returns:
        Slate, user, moment, index version and `Conduct.OF_SLATE`.
    """
    import pandas as pd
    from sqlalchemy import select

    newest = select(SlateRow.seq).order_by(SlateRow.seq.desc()).limit(limit).subquery()
    sql = (
        select(
            SlateRow.slate_id,
            SlateRow.user_id,
            SlateRow.made_at,
            SlateRow.index_version,
            SlateRow.k,
            SlateItemRow.film_id,
            SlateItemRow.score,
        )
        .outerjoin(SlateItemRow, SlateItemRow.slate_id == SlateRow.slate_id)
        .where(SlateRow.seq.in_(select(newest)))
        .order_by(SlateRow.seq, SlateItemRow.rank)
    )
    with ground.store.reading() as session:
        rows = session.execute(sql).all()
    catalogue = ground.catalogue()
    known = {} if catalogue is None else _facts(catalogue.films)
    grouped: dict[str, list[Any]] = {}
    for row in rows:
        grouped.setdefault(row.slate_id, []).append(row)
    out = [
        {
            Event.SLATE: slate,
            Event.USER: items[0].user_id,
            Event.TS: _aware(items[0].made_at),
            Event.INDEX_VERSION: items[0].index_version,
            **_features(items, known),
        }
        for slate, items in grouped.items()
    ]
    return pd.DataFrame(out, columns=[Event.SLATE, Event.USER, Event.TS, Event.INDEX_VERSION, *Conduct.OF_SLATE])


def ranked(slates: "pd.DataFrame", *, limit: int = 50, scorer: Scorer | None = None) -> "pd.DataFrame":
    """Return the oddest slates with their score, and each feature's part of it in columns that end in ``_part``.

    Individual level: the caller makes sure of role and reason.

    Args:
        slates: As `composition` gave them.
        limit: How many.
        scorer: Learns what is usual; an isolation forest when None.

    Raises:
        NotEstimableError: With fewer than 50 slates, or when no feature varies.
    """
    import pandas as pd

    matrix = slates[list(Conduct.OF_SLATE)].to_numpy(dtype=np.float64)
    learnt = (scorer or Forest()).fit(matrix)
    score = learnt.score(matrix)
    top = np.argsort(np.where(np.isnan(score), np.inf, -score), kind="stable")[:limit]
    parts = pd.DataFrame(learnt.explain(matrix[top]), columns=[f"{name}_part" for name in Conduct.OF_SLATE])
    return pd.concat([slates.iloc[top].reset_index(drop=True).assign(score=score[top]), parts], axis=1)


def _facts(films: "pd.DataFrame") -> dict[str, tuple[str, tuple[str, ...], str]]:
    """Return lead, genres and collection of each film."""
    columns = (films[name] for name in (Film.ID, Film.CAST, Film.GENRES, Film.COLLECTION))
    return {
        film: (cast[0] if len(cast) else "", tuple(genres), collection or "")
        for film, cast, genres, collection in zip(*columns, strict=True)
    }


def _features(items: list[Any], known: dict[str, tuple[str, tuple[str, ...], str]]) -> dict[str, float]:
    films = [item.film_id for item in items if item.film_id is not None]
    scores = np.array([item.score for item in items if item.film_id is not None], dtype=np.float64)
    out = dict.fromkeys(Conduct.OF_SLATE, float("nan"))
    out[Conduct.SHORT] = float(items[0].k - len(films))
    if len(films) > 1:
        top = abs(scores[0]) or 1.0
        out[Conduct.GAP] = float(np.max(scores[:-1] - scores[1:]) / top)
    facts = [known[film] for film in films if film in known]
    if len(facts) == len(films) > 1:
        leads = [lead for lead, _, _ in facts if lead]
        collections = [collection for _, _, collection in facts if collection]
        genres = [genre for _, several, _ in facts for genre in set(several)]
        out[Conduct.SAME_LEAD] = float(len(leads) - len(set(leads)))
        out[Conduct.SAME_COLLECTION] = float(len(collections) - len(set(collections)))
        out[Conduct.SAME_GENRE] = max((genres.count(one) for one in set(genres)), default=0) / len(films)
    return out


def _by_version(ground: Ground, slates: "pd.DataFrame") -> tuple[list[Finding], list[str]]:
    """Compare each version with the others."""
    sizes = slates.groupby(Event.INDEX_VERSION)[Event.USER].nunique()
    least = max(ground.settings.k_anonymity, LEAST_ROWS // 2)
    versions = [str(version) for version, users in sizes.items() if users >= least]
    if len(versions) < 2:  # noqa: PLR2004 - one has nothing beside it
        return [], [f"versions can't be compared: {len(versions)} has slates of {least} users, and it takes two"]
    findings = []
    for version in versions:
        mine = slates[Event.INDEX_VERSION] == version
        for feature, worth in LEAST.items():
            p, more, low, high = _welch(slates[mine], slates[~mine], feature)
            # Bonferroni over all of them: a slate log is looked at every day.
            if min(1.0, p * len(LEAST) * len(versions)) < LEVEL and more >= worth:
                findings.append(_finding(ground, slates, version, feature, p, Interval(value=more, low=low, high=high)))
    return findings, []


def _welch(mine: "pd.DataFrame", others: "pd.DataFrame", feature: str) -> tuple[float, float, float, float]:
    """Return p and the difference of the users' means with its interval; p of 1 where it can't be told."""
    from scipy.stats import t

    first, second = (part.groupby(Event.USER)[feature].mean().dropna().to_numpy() for part in (mine, others))
    if min(first.size, second.size) < 2:  # noqa: PLR2004 - a variance takes two
        return 1.0, 0.0, 0.0, 0.0
    more = float(first.mean() - second.mean())
    errors = np.array([side.var(ddof=1) / side.size for side in (first, second)])
    # What rounding leaves of two constants is no variance.
    if errors.sum() <= 1e-24 * max(1.0, float(np.abs(first).max()), float(np.abs(second).max())) ** 2:
        return (0.0 if abs(more) > 1e-9 else 1.0), more, more, more  # noqa: PLR2004 - rounding
    df = errors.sum() ** 2 / float(np.sum(errors**2 / (np.array([first.size, second.size]) - 1)))
    error = float(np.sqrt(errors.sum()))
    margin = float(t.ppf(0.975, df)) * error
    return float(2 * t.sf(abs(more) / error, df)), more, more - margin, more + margin


def _finding(ground: Ground, slates: "pd.DataFrame", version: str, feature: str, p: float, more: Interval) -> Finding:
    mine = slates[slates[Event.INDEX_VERSION] == version]
    first = mine[Event.TS].min().to_pydatetime()
    before = slates[Event.TS][(slates[Event.INDEX_VERSION] != version) & (slates[Event.TS] < first)].max()
    low = first if before != before or before is None else before.to_pydatetime()  # noqa: PLR0124 - NaT
    who = crowd_of(int(mine[Event.USER].nunique()), ground.settings.k_anonymity, "users")
    unit = "share" if feature in (Conduct.SAME_GENRE, Conduct.GAP) else "films"
    return Finding(
        detector=NAME,
        metric=feature,
        segment={Event.INDEX_VERSION: version},
        onset=Onset(at=first, low=low, high=first),
        effect=more,
        unit=unit,
        p_value=min(1.0, p * len(LEAST)),
        severity=Severity.WARNING,
        summary=f"Slates of index {version} have {more.value:.2f} {unit} more {MEANINGS[feature]} than others.",
        evidence={"users": who, "slates": len(mine)},
    )


def _short(ground: Ground, slates: "pd.DataFrame") -> Finding | None:
    short = slates[slates[Conduct.SHORT] > 0]
    users = int(short[Event.USER].nunique())
    share = len(short) / len(slates)
    if users < ground.settings.k_anonymity or share < SHORT_SHARE:
        return None
    first = short[Event.TS].min().to_pydatetime()
    before = slates[Event.TS][slates[Event.TS] < first].max()
    low = first if before != before or before is None else before.to_pydatetime()  # noqa: PLR0124 - NaT
    return Finding(
        detector=NAME,
        metric=Conduct.SHORT,
        segment={},
        onset=Onset(at=first, low=low, high=first),
        effect=Interval(value=share),
        unit="share of slates",
        severity=Severity.WARNING,
        summary=f"{share:.0%} of the newest {len(slates):,} slates hold fewer films than were asked for.",
        evidence={"users": crowd_of(users, ground.settings.k_anonymity, "users"), "slates": len(slates)},
    )


def _aware(moment: dt.datetime) -> dt.datetime:
    # SQLite keeps no zone; everything is stored in UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
