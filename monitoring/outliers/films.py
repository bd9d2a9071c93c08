"""Films whose data look wrong: stuffed keywords, no synopsis or someone else's, an impossible runtime.

Each sign is plain enough to be checked by looking at the film. Beside them every film has a score of oddness among all
films, explained by feature, for a list to look through: `ranked`. A sign makes a finding when enough films show it, put
to the studio or provider that most of them come from, and dated by the snapshot of the catalogue they came with.
"""

import datetime as dt
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from monitoring.inputs.features import film_features
from monitoring.outliers.scorers import LEAST_ROWS, Forest, Scorer
from workspace.columns import Film, Trait
from workspace.errors import NotEstimableError

if TYPE_CHECKING:
    import pandas as pd

    from recommender.catalogue import Catalogue

NAME: Final = "outliers.films"
TIMES_KEYWORDS: Final = 5.0
"""So many times the usual number of keywords is stuffing."""
LEAST_STUFFED: Final = 20
REPEATED: Final = 3
RUNTIMES_MIN: Final = (2.0, 900.0)
LEAST_FILMS: Final = 3
LEAST_SHARE: Final = 0.01
"""A sign that fewer films than this show is in the list, and no finding."""
FROM_ONE: Final = 0.8
MOST_SNAPSHOTS: Final = 8
SCORED: Final = (
    Trait.KEYWORDS,
    Trait.REPEATED_KEYWORDS,
    Trait.GENRES,
    Trait.CAST,
    Trait.REGIONS,
    Trait.SYNOPSIS_CHARS,
    Trait.SAME_SYNOPSIS,
    Film.RUNTIME_MIN,
)
MEANINGS: Final[Mapping[str, str]] = {
    "stuffed_keywords": "have far more keywords than usual, or the same ones again and again",
    "missing_synopsis": "have no synopsis",
    "same_synopsis": "share their synopsis with another film",
    "runtime": "have an impossible runtime",
}

Flags = NDArray[np.bool_]


class OddFilms:
    """The detector ``outliers.films``."""

    name: Final = NAME

    def look(self, ground: Ground) -> Outcome:
        """Look at every film of the current catalogue; see `Detector.look`."""
        began = time.perf_counter()
        catalogue = ground.catalogue()
        if catalogue is None:
            return Outcome(detector=NAME, notes=("not estimable: there is no catalogue",))
        films = catalogue.films
        if len(films) < LEAST_ROWS:
            note = f"not estimable: {len(films)} films, {LEAST_ROWS - len(films)} fewer than {LEAST_ROWS}"
            return Outcome(detector=NAME, notes=(note,), looked_at=len(films))
        flagged = {name: flags for name, flags in signs(films).items() if _enough(flags)}
        findings = []
        if flagged:
            earlier = _earlier(ground, catalogue)
            findings = [_finding(ground, catalogue, earlier, name, flags) for name, flags in flagged.items()]
        return Outcome(
            detector=NAME, findings=tuple(findings), looked_at=len(films), seconds=time.perf_counter() - began
        )


def signs(films: "pd.DataFrame") -> dict[str, Flags]:
    """Return which films show which sign.

    Args:
        films: Columns `Film.ALL`.
    """
    features = film_features(films)
    keywords = features[Trait.KEYWORDS].to_numpy()
    stuffed = max(float(LEAST_STUFFED), TIMES_KEYWORDS * float(np.median(keywords))) if len(films) else 0.0
    runtime = features[Film.RUNTIME_MIN].to_numpy()
    return {
        "stuffed_keywords": (keywords >= stuffed) | (features[Trait.REPEATED_KEYWORDS].to_numpy() >= REPEATED),
        "missing_synopsis": features[Trait.NO_SYNOPSIS].to_numpy() > 0,
        "same_synopsis": features[Trait.SAME_SYNOPSIS].to_numpy() > 0,
        # An unknown runtime is unknown, and no sign.
        "runtime": (runtime < RUNTIMES_MIN[0]) | (runtime > RUNTIMES_MIN[1]),
    }


def ranked(films: "pd.DataFrame", *, limit: int = 50, scorer: Scorer | None = None) -> "pd.DataFrame":
    """Return the oddest films: id, title, score, and each feature's part in the score.

    A length that is unknown, since the film has no synopsis, is taken as the median: that it has none is a sign of
    its own and would otherwise keep the film out of the list.

    Args:
        films: Columns `Film.ALL`.
        limit: How many.
        scorer: Learns what is usual; an isolation forest when None.

    Raises:
        NotEstimableError: With fewer than 50 films, or when no feature varies.
    """
    import pandas as pd

    features = film_features(films)[list(SCORED)]
    features[Trait.SYNOPSIS_CHARS] = features[Trait.SYNOPSIS_CHARS].fillna(features[Trait.SYNOPSIS_CHARS].median())
    features[Film.RUNTIME_MIN] = features[Film.RUNTIME_MIN].fillna(features[Film.RUNTIME_MIN].median())
    features = features.fillna(0.0)
    matrix = features.to_numpy(dtype=np.float64)
    if len(matrix) < LEAST_ROWS:
        raise NotEstimableError(f"{len(matrix)} films", f"must be {LEAST_ROWS} to stand out from")
    learnt = (scorer or Forest()).fit(matrix)
    score = learnt.score(matrix)
    top = np.argsort(-score, kind="stable")[:limit]
    parts = pd.DataFrame(learnt.explain(matrix[top]), columns=list(SCORED))
    known = films.iloc[top][[Film.ID, Film.TITLE]].reset_index(drop=True)
    return pd.concat([known.assign(score=score[top]), parts], axis=1)


def _enough(flags: Flags) -> bool:
    count = int(flags.sum())
    return count >= LEAST_FILMS and count >= LEAST_SHARE * flags.size


def _earlier(ground: Ground, catalogue: "Catalogue") -> list[tuple[dt.datetime, "pd.DataFrame"]]:
    """Return earlier snapshots' moment and films, the newest first."""
    from recommender.catalogue import list_catalogues, load_catalogue

    now = _moment(catalogue.manifest.get("imported_at"), ground.clock.now())
    out = []
    for entry in list_catalogues(ground.paths):
        moment = _moment(entry.imported_at, None)
        if entry.snapshot_id != catalogue.snapshot_id and moment is not None and now is not None and moment <= now:
            out.append((moment, load_catalogue(ground.paths, entry.snapshot_id).films))
    return out[:MOST_SNAPSHOTS]


def _finding(
    ground: Ground,
    catalogue: "Catalogue",
    earlier: list[tuple[dt.datetime, "pd.DataFrame"]],
    name: str,
    flags: Flags,
) -> Finding:
    films = catalogue.films
    odd = set(films[Film.ID][flags])
    onset, new = _onset(ground, catalogue, earlier, name, odd)
    count, share = int(flags.sum()), float(flags.mean())
    segment = _place(films, flags)
    where = " of " + " and ".join(f"{dim} {value}" for dim, value in segment.items()) if segment else ""
    return Finding(
        detector=NAME,
        metric=name,
        segment=segment,
        onset=onset,
        effect=Interval(value=share),
        unit="share of films",
        severity=Severity.WARNING if new else Severity.INFO,
        summary=f"{count:,} films{where}, {share:.1%} of all, {MEANINGS[name]}.",
        evidence={
            "films": count,
            "film_ids": sorted(odd)[:100],
            "snapshot": catalogue.snapshot_id,
            "came_with_a_later_snapshot": new,
        },
    )


def _onset(
    ground: Ground,
    catalogue: "Catalogue",
    earlier: list[tuple[dt.datetime, "pd.DataFrame"]],
    name: str,
    odd: set[str],
) -> tuple[Onset, bool]:
    """Return since when most of the films show the sign, and whether a snapshot without it is known."""
    at = _moment(catalogue.manifest.get("imported_at"), ground.clock.now()) or ground.clock.now()
    for moment, films in earlier:
        before = set(films[Film.ID][signs(films)[name]])
        if 2 * len(before & odd) < len(odd):
            return Onset(at=at, low=min(moment, at), high=at), True
        at = moment
    # It was there from the first import: as early as the provider last touched one of the films.
    touched = catalogue.films[Film.UPDATED_AT][catalogue.films[Film.ID].isin(odd)].min()
    low = at if touched is None or touched != touched else touched.to_pydatetime()  # noqa: PLR0124 - NaT
    return Onset(at=at, low=min(low, at), high=at), False


def _place(films: "pd.DataFrame", flags: Flags) -> dict[str, str]:
    """Return the studio, or else the provider, that most of the films come from, when most other films do not."""
    for dim, values in (
        ("studio", [names[0] if len(names) else "" for names in films[Film.STUDIOS]]),
        (Film.PROVIDER, films[Film.PROVIDER].tolist()),
    ):
        mine = Counter(value for value, odd in zip(values, flags, strict=True) if odd)
        top, count = mine.most_common(1)[0]
        rest = sum(value == top for value, odd in zip(values, flags, strict=True) if not odd)
        if top and count >= FROM_ONE * flags.sum() and rest < 0.5 * (flags.size - flags.sum()):
            return {dim: str(top)}
    return {}


def _moment(text: object, otherwise: dt.datetime | None) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return otherwise
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
