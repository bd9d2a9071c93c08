"""The recommender as its users meet it: one object over a workspace, for the console and the command line alike."""

import datetime as dt
import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import Any, Final, Self

import pandas as pd

from recommender import inspection
from recommender.answers import Explanation, Replay, Sensitivity, WhatIf, WhyNot, differences
from recommender.batch import recommend_all, who_gets
from recommender.catalogue import Catalogue, load_catalogue
from recommender.erased import erased_named
from recommender.explanation import explain
from recommender.index import Manifest, current_version, list_versions
from recommender.live import LiveLog, default_value
from recommender.ranking import RERANK_TERMS, Ranked
from recommender.rules import Decision, Filters
from recommender.situation import Ask, Desk, Situation
from recommender.slates import Slate, SlateItem, SlateLog
from recommender.view import View
from workspace.checks import check_scalar
from workspace.clock import Clock, SystemClock
from workspace.columns import Film, User
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ids import new_id
from workspace.ledger import Ledger
from workspace.logs import current_transaction, hop
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

_log = logging.getLogger(__name__)
_MOST_VIEWS: Final = 4
MOST_RECOMMENDED: Final = 200
_SHADOW_K: Final = 5


class Recommender:
    """Answers for one workspace. Safe to share between threads: what it holds is immutable, views are swapped whole.

    Args:
        settings: Where the workspace is.
        store: The operational store.
        clock: What "now" means.
    """

    def __init__(self, settings: Settings, store: Store, clock: Clock) -> None:
        self.settings = settings
        self.paths = Paths(settings.home)
        self.store = store
        self.clock = clock
        self.ledger = Ledger(store, clock)
        self.live = LiveLog(store, clock)
        self.slates = SlateLog(store)
        self._lock = threading.RLock()
        self._views: dict[tuple[str, str], View] = {}
        self._catalogues: dict[str, Catalogue] = {}
        self._current: str = ""
        self.refresh()

    @classmethod
    def open(cls, settings: Settings, *, clock: Clock | None = None) -> Self:
        """Open a workspace; without an index its catalogue can be looked at, but nothing be recommended.

        Raises:
            StateError: When nothing was imported yet.
        """
        return cls(settings, Store.open(settings), clock or SystemClock())

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that is current."""
        return self._catalogues[self._current]

    @property
    def version(self) -> str:
        """The index version that is current.

        Raises:
            StateError: When none was built.
        """
        version = current_version(self.paths)
        if version is None:
            raise StateError("no index version is current", hint="run `recommendr index build`")
        return version

    def refresh(self) -> None:
        """Follow the pointers: another catalogue or version may have become current."""
        catalogue = load_catalogue(self.paths)
        with self._lock:
            self._catalogues = {catalogue.snapshot_id: self._catalogues.get(catalogue.snapshot_id, catalogue)}
            self._current = catalogue.snapshot_id
            self._views = {key: view for key, view in self._views.items() if key[1] == self._current}

    def versions(self) -> list[Manifest]:
        """Return every version, oldest first."""
        return list_versions(self.paths)

    def view(self, version: str | None = None, snapshot_id: str | None = None) -> View:
        """Return an opened version against a catalogue, both the current ones unless named."""
        key = (version or self.version, snapshot_id or self._current)
        with self._lock:
            if key not in self._views:
                view = View.open(self.paths, key[0], self._catalogue(key[1]))
                while len(self._views) >= _MOST_VIEWS:
                    self._views.pop(next(iter(self._views)))
                self._views[key] = view
            return self._views[key]

    def desk(self, view: View) -> Desk:
        """Return what resolves requests against a view."""
        return Desk(view.catalogue, self.live, self.slates, shown_lately_days=self.settings.shown_lately_days)

    def recommend(
        self,
        user_id: str,
        *,
        k: int = 5,
        filters: Filters | None = None,
        region: str | None = None,
        on: dt.date | None = None,
        version: str | None = None,
        seed: int = 0,
        log: bool = True,
        shown_lately: bool = True,
    ) -> Slate:
        """Return a user's best k films: exactly k whenever k are allowed.

        Args:
            user_id: Who.
            k: How many, 1 … 200.
            filters: What the user chose.
            region: Where they are; their own region when None.
            on: The date to answer for; today when None.
            version: The index version; the current one when None.
            seed: Recorded with the slate.
            log: Whether to log the slate, which makes its films rest for a while.
            shown_lately: Whether films of recent slates are left out.

        Raises:
            UnknownError: For an unknown user or version.
            InvalidValueError: For a bad k, region, date, genre or language.
        """
        start = time.perf_counter()
        check_scalar(k, "k", ge=1, le=MOST_RECOMMENDED, hint="five films are shown; more than 200 is an export")
        with hop("recommender") as said:
            view = self.view(version)
            situation = self.situation(view, user_id, filters=filters, region=region, on=on, shown_lately=shown_lately)
            decision = situation.decide()
            ranked = situation.rank(decision, k)
            self._shadow(situation, decision, ranked, k)
            relax = view.rules.relaxing(situation.request) if len(ranked.rows) < k else ()
            latency_ms = (time.perf_counter() - start) * 1000
            slate = self._slate(situation, decision, ranked, k=k, seed=seed, relax=relax, latency_ms=latency_ms)
            if log:
                self.slates.append(slate)
            said |= {
                "slate_id": slate.slate_id,
                "index_version": view.version,
                "region": slate.region,
                "path": slate.path,
                "films": len(slate.items),
                "latency_ms": slate.latency_ms,
            }
        return slate

    def situation(
        self,
        view: View,
        user_id: str,
        *,
        filters: Filters | None = None,
        region: str | None = None,
        on: dt.date | None = None,
        shown_lately: bool = True,
        without: Sequence[str] = (),
        like: Slate | None = None,
    ) -> Situation:
        """Resolve a request, or, with ``like``, the request that a logged slate answered."""
        desk = self.desk(view)
        if like is not None:
            ask = Ask(
                user_id=like.user_id,
                on=like.on,
                region=like.region,
                filters=like.filters,
                live_seq=like.live_seq,
                shown_before=like.shown_before,
                made_at=like.made_at,
                weights=dict(like.weights),
                without=tuple(without),
            )
        else:
            now = self.clock.now()
            ask = Ask(
                user_id=user_id,
                on=on or now.date(),
                region=desk.region(user_id, region),
                filters=filters or Filters(),
                live_seq=self.live.last_seq(),
                shown_before=self.slates.last_seq() if shown_lately else None,
                made_at=now,
                weights=dict(view.configuration.weights),
                without=tuple(without),
            )
        return desk.situation(view, ask)

    def explain(
        self,
        user_id: str,
        film_id: str,
        *,
        on: dt.date | None = None,
        region: str | None = None,
        version: str | None = None,
    ) -> Explanation:
        """Return why a film scores what it scores for a user, whether or not it is recommended.

        Raises:
            UnknownError: For an unknown user, film or version.
        """
        view = self.view(version)
        row = self.film_row(view, film_id)
        return explain(self.situation(view, user_id, on=on, region=region), row)

    def why_not(
        self,
        user_id: str,
        film_id: str,
        *,
        k: int = 5,
        filters: Filters | None = None,
        region: str | None = None,
        on: dt.date | None = None,
        version: str | None = None,
    ) -> WhyNot:
        """Return why a film is not among a user's k.

        Asked of the user's latest slate made under the same conditions; of a fresh one where there is none.
        """
        check_scalar(k, "k", ge=1, le=MOST_RECOMMENDED)
        view = self.view(version)
        fresh = self.situation(view, user_id, filters=filters, region=region, on=on)
        slate = next((s for s in self.slates.of_user(user_id) if inspection.same_conditions(s, fresh, k)), None)
        situation = fresh if slate is None else self.situation(view, user_id, like=slate)
        return inspection.why_not(situation, film_id, k=k, slate_id=None if slate is None else slate.slate_id)

    def what_if(
        self,
        user_id: str,
        without: Sequence[str],
        *,
        k: int = 5,
        filters: Filters | None = None,
        region: str | None = None,
        on: dt.date | None = None,
        version: str | None = None,
    ) -> WhatIf:
        """Return a user's films with and without some history films; those stay seen, and "shown lately" is off."""
        check_scalar(k, "k", ge=1, le=MOST_RECOMMENDED)
        view = self.view(version)
        for film_id in without:
            self.film_row(view, film_id)
        slates = [
            self._items(
                self.situation(view, user_id, filters=filters, region=region, on=on, shown_lately=False, without=gone),
                k,
            )
            for gone in ((), without)
        ]
        return inspection.what_if(tuple(without), *slates)

    def sensitivities(
        self,
        user_id: str,
        film_id: str,
        *,
        pairs: bool = False,
        limit: int = 20,
        on: dt.date | None = None,
        region: str | None = None,
        version: str | None = None,
    ) -> list[Sensitivity]:
        """Return what removing single history films, or pairs, does to a film's score and rank, largest first."""
        view = self.view(version)
        row = self.film_row(view, film_id)
        base = self.situation(view, user_id, on=on, region=region, shown_lately=False)
        return inspection.sensitivities(self.desk(view), base, row, pairs=pairs, limit=limit)

    def slate(self, slate_id: str) -> Slate:
        """Return a logged slate.

        Raises:
            UnknownError: When there is none of that id.
        """
        return self.slates.get(slate_id)

    def slates_of(self, user_id: str, limit: int = 20) -> list[Slate]:
        """Return a user's logged slates, newest first."""
        return self.slates.of_user(user_id, limit)

    def replay(self, slate_id: str) -> Replay:
        """Make a logged slate again from what was logged, with the version and catalogue of then.

        Raises:
            UnknownError: When the slate, its version or its catalogue is not there any more.
            ErasedError: When one of them was erased on somebody's request.
        """
        slate = self.slates.get(slate_id)
        with erased_named(self.paths, slate.index_version, slate.snapshot_id):
            view = self.view(slate.index_version, slate.snapshot_id)
        situation = self.situation(view, slate.user_id, like=slate)
        again = self._items(situation, slate.k)
        found = differences(slate.items, again)
        return Replay(slate_id=slate_id, identical=not found, slate=slate, again=again, differences=found)

    def neighbours(self, film_id: str, *, k: int = 10, version: str | None = None) -> list[dict[str, Any]]:
        """Return the films most alike in content, with the cosine of each block."""
        view = self.view(version)
        return inspection.neighbours(view, self.film_row(view, film_id), k)

    def who_gets(self, film_id: str, *, k: int = 5, version: str | None = None) -> dict[str, Any]:
        """Return how many users have a film among their k, by region; counts that could single out are withheld."""
        view = self.view(version)
        self.film_row(view, film_id)
        return who_gets(self.recommend_all(k=k, version=version), view.catalogue, film_id)

    def projection(self, version: str | None = None) -> pd.DataFrame:
        """Return every film's place on an illustrative map."""
        return inspection.projection(self.view(version))

    def raw_vectors(
        self,
        user_id: str,
        film_id: str,
        *,
        on: dt.date | None = None,
        region: str | None = None,
        version: str | None = None,
    ) -> pd.DataFrame:
        """Return user value, weight, film value and product of every dimension."""
        view = self.view(version)
        row = self.film_row(view, film_id)
        return inspection.raw_vectors(self.situation(view, user_id, on=on, region=region), row)

    def history(self, user_id: str, on: dt.date | None = None, version: str | None = None) -> pd.DataFrame:
        """Return a user's acts, newest first, with the title and the coefficient each has in the content blocks."""
        return inspection.history(self.situation(self.view(version), user_id, on=on, shown_lately=False))

    def record(self, user_id: str, film_id: str, kind: str, value: float | None = None) -> None:
        """Record an act of a user; it counts from the next request on.

        Raises:
            UnknownError: For an unknown user or film.
            InvalidValueError: For an unknown kind or a value outside its range.
        """
        self.desk(self.view()).user(user_id)
        self.catalogue.film_row(film_id)
        self.live.record(user_id, film_id, kind, default_value(kind) if value is None else value)

    def add_user(self, user_id: str, region: str, *, market: str | None = None, premium: bool = True) -> None:
        """Add a user who has just joined; their vector exists at once: priors, and the mean of their market.

        Raises:
            InvalidValueError: When the id is blank, or was imported already.
            UnknownError: When no user comes from the region.
        """
        desk = self.desk(self.view())
        known = self.catalogue.users
        if not user_id.strip() or known[User.ID].eq(user_id).any():
            raise InvalidValueError(f"user_id == {user_id!r}", "must be new and not blank")
        home = known.loc[known[User.REGION] == region, User.MARKET]
        if home.empty:
            raise UnknownError(f"region == {region!r}", f"must be one of {', '.join(desk.regions)}")
        self.live.add_user(
            {
                User.ID: user_id,
                User.REGION: region,
                User.MARKET: market or str(home.iloc[0]),
                User.PREMIUM: premium,
                User.JOINED_AT: self.clock.now(),
                User.EXCLUDED_GENRES: [],
                User.MAXIMUM_AGE: None,
                User.CONSENT: True,
            }
        )

    def search_titles(self, text: str, limit: int = 20) -> list[tuple[str, str, int | None]]:
        """Return films whose title or id matches: id, title, year."""
        found = self.catalogue.search_titles(text, limit)
        years = [None if pd.isna(date) else int(date.year) for date in found[Film.RELEASE_DATE]]
        return list(zip(found[Film.ID].tolist(), found[Film.TITLE].tolist(), years, strict=True))

    def user_ids(self, prefix: str = "", limit: int = 50) -> list[str]:
        """Return user ids that begin with a prefix."""
        ids = [*self.live.user_ids(), *self.catalogue.users[User.ID].tolist()]
        return [user for user in ids if user.startswith(prefix)][:limit]

    def recommend_all(self, *, k: int = 5, version: str | None = None, on: dt.date | None = None) -> pd.DataFrame:
        """Return every imported user's k films without logging them; filters and "shown lately" do not apply."""
        check_scalar(k, "k", ge=1, le=MOST_RECOMMENDED)
        return recommend_all(self.view(version), k=k, on=on or self.clock.now().date())

    def film_row(self, view: View, film_id: str) -> int:
        """Return a film's row in a version.

        Raises:
            UnknownError: When the catalogue does not know it, or the version was built before it came.
        """
        view.catalogue.film_row(film_id)
        if film_id not in view.film_rows:
            raise UnknownError(
                f"film {film_id!r} is not in index version {view.version}",
                hint="run `recommendr index build --strategy incremental`",
            )
        return view.film_rows[film_id]

    def _catalogue(self, snapshot_id: str) -> Catalogue:
        if snapshot_id not in self._catalogues:
            self._catalogues[snapshot_id] = load_catalogue(self.paths, snapshot_id)
        return self._catalogues[snapshot_id]

    def _items(self, situation: Situation, k: int) -> tuple[SlateItem, ...]:
        return _items(situation, situation.rank(situation.decide(), k))

    def _slate(
        self,
        situation: Situation,
        decision: Decision,
        ranked: Ranked,
        *,
        k: int,
        seed: int,
        relax: tuple[str, ...],
        latency_ms: float,
    ) -> Slate:
        ask, view = situation.ask, situation.view
        return Slate(
            slate_id=new_id("slate"),
            user_id=ask.user_id,
            made_at=ask.made_at,
            on=ask.on,
            region=ask.region,
            filters=ask.filters,
            k=k,
            seed=seed,
            index_version=view.version,
            snapshot_id=view.catalogue.snapshot_id,
            live_seq=ask.live_seq,
            shown_before=ask.shown_before,
            weights=ask.weights,
            transaction_id=current_transaction(),
            items=_items(situation, ranked),
            funnel=decision.funnel,
            relax=relax,
            path=ranked.path,
            latency_ms=latency_ms,
        )

    def _shadow(self, situation: Situation, decision: Decision, ranked: Ranked, k: int) -> None:
        """Answer a share of the requests a second time by exact search; the recall in the log is a live metric."""
        # A re-rank is meant to differ from the exact order, which would read as lost recall.
        reranked = any(name in ranked.terms for name in RERANK_TERMS)
        if reranked or random.random() >= self.settings.shadow_rate:  # noqa: S311 - sampling, not secrecy
            return
        recall = situation.view.index.shadow(
            situation.query, ranked.rows, k=min(k, _SHADOW_K), allowed=decision.allowed
        )
        _log.info(
            "shadowed", extra={"recall_at_5": recall, "path": ranked.path, "index_version": situation.view.version}
        )


def _items(situation: Situation, ranked: Ranked) -> tuple[SlateItem, ...]:
    view = situation.view
    return tuple(
        SlateItem(
            film_id=view.stored.film_ids[row],
            title=view.titles[row],
            rank=place + 1,
            score=float(ranked.scores[place]),
            contributions=ranked.contributions(place),
        )
        for place, row in enumerate(ranked.rows.tolist())
    )
