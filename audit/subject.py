"""The recommender under audit, asked about a panel by its own code: the lists it would give and the terms behind them.

What an account holds reaches the recommender through `intake` alone. The user contract knows no name, gender or age;
a version's manifest says in ``extra["segments"]`` which fields of an account its deployment joins into the market, and
``["market"]`` when it says nothing.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from audit.panel import AGE, NAME, Panel, replace_users
from audit.plan import AGE_BAND, GENDER, MARKET, NAME_ORIGIN, PREMIUM, REGION
from recommender.acts import Acts
from recommender.catalogue import load_catalogue
from recommender.profile import profiles
from recommender.ranking import RERANK_TERMS, block_terms
from recommender.rules import Request
from recommender.view import View
from workspace.checks import check_scalar
from workspace.columns import User
from workspace.errors import SchemaError, UnknownError
from workspace.paths import Paths
from workspace.settings import Settings

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Progress = Callable[[str, int, int], None]

SEGMENTS: Final = "segments"
DEFAULT_SEGMENTS: Final = (MARKET,)
FIELDS: Final = (MARKET, REGION, PREMIUM, NAME, NAME_ORIGIN, GENDER, AGE, AGE_BAND)
JOIN: Final = "|"
MOST: Final = 200
_CHUNK: Final = 512
_EPOCH: Final = dt.date(1970, 1, 1)
_BUILD: Final = "build it with `recommendr index build`, or plan with another"


@dataclass(frozen=True, slots=True)
class UserRow:
    """What the recommender reads of a user: nothing else of an account can make a difference to it."""

    region: str
    market: str
    premium: bool
    maximum_age: int | None
    excluded_genres: tuple[str, ...]


def intake(account: Mapping[str, Any], segments: Sequence[str]) -> UserRow:
    """Form the user row of an account as the deployment of a version does.

    Args:
        account: Columns of a panel's accounts.
        segments: Fields joined into the market; one that is not known of the account is left out.

    Example:
        >>> account = {"region": "FR", "market": "western_europe", "premium": False, "name_origin": "slavic",
        ...            "maximum_age": None, "excluded_genres": ()}
        >>> intake(account, ["market", "name_origin"]).market
        'western_europe|slavic'
    """
    parts = [str(account[field]) for field in segments]
    return UserRow(
        str(account[REGION]),
        JOIN.join(part for part in parts if part),
        bool(account[PREMIUM]),
        account[User.MAXIMUM_AGE],
        tuple(account[User.EXCLUDED_GENRES]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A panel reduced to what differs for the recommender: one case each history and user row that belong together."""

    cases: Rows
    rows: tuple[UserRow, ...]
    acts: Acts
    starts: Rows


class Subject:
    """One version against one catalogue snapshot, as of a day.

    Args:
        view: The version opened against the snapshot.
        on: The day the recommendations are answered for.
    """

    def __init__(self, view: View, on: dt.date) -> None:
        self.view = view
        self.on = on
        self.film_ids: tuple[str, ...] = tuple(view.stored.film_ids)
        self.layout = view.matrix.layout
        self.weights: dict[str, float] = {name: view.configuration.weights.get(name, 0.0) for name in self.layout}
        self.segments = _segments(view)
        self._spread = self.layout.spread(view.configuration.weights)
        self._last: tuple[Panel, _Asked, Vectors] | None = None

    @classmethod
    def open(cls, settings: Settings, version: str, snapshot_id: str, on: dt.date) -> Self:
        """Open a version and a snapshot of a workspace.

        Raises:
            UnknownError: When one of them is gone; the hint names those that are there.
            IntegrityError: When one of them is damaged.
            InvalidValueError: For a day before the first film.
        """
        paths = Paths(settings.home)
        try:
            catalogue = load_catalogue(paths, snapshot_id)
        except UnknownError as error:
            hint = f"{error.hint}; import the data again, or plan with one that is there"
            raise UnknownError(
                f"snapshot_id == {snapshot_id!r}", "must be a snapshot of the workspace", hint
            ) from error
        try:
            view = View.open(paths, version, catalogue)
        except UnknownError as error:
            hint = f"{error.hint}; {_BUILD}"
            raise UnknownError(f"index_version == {version!r}", "must be a version that is there", hint) from error
        return cls(view, on)

    def cases(self, panel: Panel) -> Rows:
        """Return what each account is for the recommender, shape ``(n,)``: equal numbers, equal history and user row.

        Accounts of one case have the same vector, the same list and the same terms, since they were computed once.
        """
        return self._vectors(panel)[0].cases

    def user_vectors(self, panel: Panel) -> Vectors:
        """Return each account's user vector, without block weights, shape ``(n, dim)``."""
        asked, vectors = self._vectors(panel)
        return vectors[asked.cases]

    def slates(
        self, panel: Panel, k: int, progress: Progress | None = None, *, chunk: int = _CHUNK
    ) -> tuple[Rows, Floats]:
        """Return each account's best k lawful films, as `recommender.batch.recommend_all` gives them.

        Args:
            panel: Who asks.
            k: How many, 1 … 200.
            progress: Told the stage, the cases done and all.
            chunk: Cases at a time; makes no difference to what comes out.

        Returns:
            Film rows of this version, shape ``(n, k)``, −1 where fewer are lawful, and their scores, NaN there.

        Raises:
            InvalidValueError: For a bad k, or a day before the first film.
        """
        check_scalar(k, "k", ge=1, le=MOST)
        check_scalar(chunk, "chunk", ge=1)
        asked, vectors = self._vectors(panel)
        rows = np.full((len(asked.rows), k), -1, np.int64)
        scores = np.full((len(asked.rows), k), np.nan)
        for first in range(0, len(asked.rows), chunk):
            last = min(first + chunk, len(asked.rows))
            allowed = self._masks(asked, np.arange(first, last))
            hits = self.view.index.search_many(vectors[first:last] * self._spread, k=k, allowed=allowed)
            for place, hit in enumerate(hits, start=first):
                rows[place, : len(hit.rows)] = hit.rows
                scores[place, : len(hit.rows)] = hit.scores
            if progress:
                progress("slates", last, len(asked.rows))
        return rows[asked.cases], scores[asked.cases]

    def terms(self, panel: Panel, codes: Rows, film_rows: Rows) -> dict[str, Floats]:
        """Return the exact score terms of pairs of an account and a film.

        Args:
            panel: The panel.
            codes: Accounts, shape ``(m,)``.
            film_rows: Films, shape ``(m,)``.

        Returns:
            ``{block: (m,)}``; over the blocks they sum to the score that ranked the film.
        """
        asked, vectors = self._vectors(panel)
        out = {name: np.empty(len(codes)) for name in self.layout}
        for first in range(0, len(codes), _CHUNK):
            part = slice(first, first + _CHUNK)
            queries = (vectors[asked.cases[codes[part]]] * self._spread).astype(np.float64)
            for name, values in block_terms(self.layout, queries, self.view.index.take(film_rows[part])).items():
                out[name][part] = values
        return out

    def feature_terms(self, panel: Panel, code: int, film_row: int, block: str) -> list[tuple[str, float]]:
        """Return the named features of one block of one film's score, largest first; they sum to the block's term.

        Raises:
            InvalidValueError: When the version has no such block.
        """
        span = self.layout.columns(block)
        asked, vectors = self._vectors(panel)
        query = (vectors[asked.cases[code]] * self._spread).astype(np.float64)
        film = self.view.index.take([film_row])
        value = float(block_terms(self.layout, query, film)[block][0])
        named = [
            (term.label, float(query[term.column] * term.value))
            for term in self.view.stored.terms(film_row)
            if span.start <= term.column < span.stop
        ]
        return sorted(named, key=lambda term: (-abs(term[1]), term[0])) or [(block, value)]

    def allowed(self, panel: Panel, codes: Rows) -> Mask:
        """Return which films may be shown to accounts, shape ``(len(codes), n_films)``."""
        asked, _ = self._vectors(panel)
        return self._masks(asked, asked.cases[codes])

    def facts(self) -> dict[str, Any]:
        """Return what a report says of what was audited."""
        manifest = self.view.index.manifest
        return {
            "index_version": manifest.version,
            "manifest_checksum": manifest.checksum,
            "snapshot_id": self.view.catalogue.snapshot_id,
            "indexed_snapshot_id": manifest.extra.get("snapshot_id", ""),
            "blocks": list(self.layout),
            "weights": dict(self.weights),
            "rerank": {name: self.view.configuration.weights.get(name, 0.0) for name in RERANK_TERMS},
            "segments": list(self.segments),
            "encoder": manifest.extra.get("encoder", ""),
            "films": int(self.view.alive.sum()),
            "feature_code": manifest.extra.get("feature_code", 0),
            "built_at": manifest.created_at,
        }

    def _vectors(self, panel: Panel) -> tuple[_Asked, Vectors]:
        """Return the panel's cases and the vector of each; kept for the panel that was asked about last."""
        if self._last is None or self._last[0] is not panel:
            asked = self._ask(panel)
            vectors = profiles(
                self.view.matrix,
                asked.acts,
                days=np.full(len(asked.rows), float((self.on - _EPOCH).days + 1)),
                markets=[row.market for row in asked.rows],
                pooling=self.view.configuration.pooling,
            )
            self._last = panel, asked, vectors
        return self._last[1], self._last[2]

    def _ask(self, panel: Panel) -> _Asked:
        # Every account goes through intake, whatever it holds. Only those whose whole user row and history are equal
        # share a computation: a recommender that reads nothing else can't tell them apart, and this one is given
        # nothing else. A leak outside of the user row (a name passed beside it) is beyond what this audit can see.
        accounts = panel.accounts.to_dict("records")
        cases: dict[tuple[int, UserRow], int] = {}
        codes = np.array(
            [
                cases.setdefault((history, intake(account, self.segments)), len(cases))
                for history, account in zip(panel.history_of.tolist(), accounts, strict=True)
            ],
            np.int64,
        )
        acts = self._translated(panel)
        # In the order of time, as the catalogue keeps them: sums then have the same bits in whatever order they came.
        acts = acts.take(np.lexsort((acts.films, acts.days, acts.users)))
        starts = np.searchsorted(acts.users, np.arange(panel.n_histories + 1))
        owners = np.array([history for history, _ in cases], np.int64)
        lengths = np.diff(starts)[owners]
        users = np.repeat(np.arange(len(owners)), lengths)
        first = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(starts[:-1][owners] - first[:-1], lengths) + np.arange(len(users))
        return _Asked(
            cases=codes,
            rows=tuple(row for _, row in cases),
            acts=replace_users(acts.take(places), users),
            starts=first,
        )

    def _translated(self, panel: Panel) -> Acts:
        """Return the histories in this version's rows; films it does not have are left out."""
        if panel.film_ids == self.film_ids:
            return panel.histories
        place = np.array([self.view.film_rows.get(film, -1) for film in panel.film_ids], np.int64)
        acts = panel.histories.take(place[panel.histories.films] >= 0)
        return Acts(
            users=acts.users,
            films=place[acts.films],
            likes=acts.likes,
            watched=acts.watched,
            positive=acts.positive,
            days=acts.days,
        )

    def _masks(self, asked: _Asked, cases: Rows) -> Mask:
        out = np.empty((len(cases), self.view.index.rows), np.bool_)
        known: dict[tuple[Any, ...], Mask] = {}
        for place, case in enumerate(cases.tolist()):
            row = asked.rows[case]
            key = (row.region, row.maximum_age, row.excluded_genres)
            if key not in known:
                known[key] = self.view.rules.decide(
                    Request(
                        on=self.on,
                        region=row.region,
                        user_maximum_age=row.maximum_age,
                        user_excluded_genres=row.excluded_genres,
                    )
                ).allowed
            out[place] = known[key]
            out[place, asked.acts.films[asked.starts[case] : asked.starts[case + 1]]] = False
        return out


def _segments(view: View) -> tuple[str, ...]:
    """Return the account fields a version's deployment joins into the market.

    Raises:
        SchemaError: When the manifest names something else.
    """
    segments = view.index.manifest.extra.get(SEGMENTS, list(DEFAULT_SEGMENTS))
    if not isinstance(segments, list) or not segments or not all(one in FIELDS for one in segments):
        raise SchemaError(
            f"segments of version {view.version} == {segments!r}", f"must be a list of {', '.join(FIELDS)}"
        )
    return tuple(segments)
