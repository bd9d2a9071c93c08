"""One user's request resolved: who asks, what they did before, where and when, and what the rules allow."""

import datetime as dt
import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.acts import Acts
from recommender.catalogue import Catalogue
from recommender.live import LiveLog
from recommender.profile import Profile, profile
from recommender.ranking import Ranked, rank
from recommender.rules import Decision, Filters, Request
from recommender.slates import SlateLog
from recommender.view import View
from workspace.columns import Interaction, User
from workspace.errors import InvalidValueError, UnknownError

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]

_EPOCH: Final = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What was asked, as it can be asked again.

    Args:
        on: The date it is answered for; acts after it do not count.
        region: Where the user is.
        live_seq: The newest live act that counts.
        shown_before: The last slate that "shown lately" looks at; None when the rule is off.
        made_at: The moment from which "lately" is counted back.
        without: History films left out of the profile; they stay seen.
    """

    user_id: str
    on: dt.date
    region: str
    filters: Filters
    live_seq: int
    shown_before: int | None
    made_at: dt.datetime
    weights: dict[str, float]
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """An ask with all it depends on."""

    ask: Ask
    view: View
    history: pd.DataFrame
    acts: Acts
    profile: Profile
    query: Floats
    request: Request

    def decide(self) -> Decision:
        """Apply the rules."""
        return self.view.rules.decide(self.request)

    def rank(self, decision: Decision, k: int) -> Ranked:
        """Return the best k allowed films."""
        return rank(
            self.view.index,
            self.view.matrix.layout,
            self.profile,
            self.query,
            self.ask.weights,
            allowed=decision.allowed,
            k=k,
        )


class Desk:
    """Resolves asks against one catalogue, the live rows and the slates of before.

    Args:
        catalogue: Users and histories as imported.
        live: What came since.
        slates: For "shown lately".
        shown_lately_days: How long a shown film rests.
    """

    def __init__(self, catalogue: Catalogue, live: LiveLog, slates: SlateLog, *, shown_lately_days: int) -> None:
        self._catalogue = catalogue
        self._live = live
        self._slates = slates
        self._shown_lately = dt.timedelta(days=shown_lately_days)
        self._regions: frozenset[str] = frozenset(catalogue.users[User.REGION])

    @property
    def regions(self) -> tuple[str, ...]:
        """Every region that users come from, sorted."""
        return tuple(sorted(self._regions))

    def user(self, user_id: str) -> dict[str, Any]:
        """Return a user's columns, imported or live.

        Raises:
            UnknownError: When nobody has this id.
        """
        try:
            return self._catalogue.user(user_id)
        except UnknownError:
            live = self._live.user(user_id)
            if live is None:
                raise
            return live

    def region(self, user_id: str, wanted: str | None) -> str:
        """Return the region of a request: the one wanted, else the user's own.

        Raises:
            InvalidValueError: When no user comes from there.
        """
        if wanted is None:
            return str(self.user(user_id)[User.REGION])
        if wanted not in self._regions:
            near = difflib.get_close_matches(wanted.upper(), self.regions, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else ""
            raise InvalidValueError(f"region == {wanted!r}", f"must be one of {', '.join(self.regions)}", hint)
        return wanted

    def history(self, user_id: str, *, on: dt.date, live_seq: int) -> pd.DataFrame:
        """Return a user's acts up to the end of a day, oldest first, by the interaction contract."""
        parts = []
        if self._live.user(user_id) is None or user_id in set(self._catalogue.users[User.ID]):
            parts.append(self._catalogue.history(user_id))
        live = self._live.history(user_id, until_seq=live_seq)
        if len(live):
            parts.append(live)
        frame = pd.concat(parts, ignore_index=True) if parts else live
        end = pd.Timestamp(on + dt.timedelta(days=1), tz="UTC")
        return frame.loc[frame[Interaction.TS] < end]

    def situation(self, view: View, ask: Ask) -> Situation:
        """Resolve an ask."""
        user = self.user(ask.user_id)
        history = self.history(ask.user_id, on=ask.on, live_seq=ask.live_seq)
        acts = Acts.of(history, view.film_rows)
        kept = acts
        if ask.without:
            gone = {view.film_rows[film] for film in ask.without if film in view.film_rows}
            kept = acts.take(~np.isin(acts.films, sorted(gone)))
        person = profile(
            view.matrix,
            kept,
            day=float((ask.on - _EPOCH).days + 1),
            market=str(user[User.MARKET]),
            pooling=view.configuration.pooling,
        )
        return Situation(
            ask=ask,
            view=view,
            history=history,
            acts=kept,
            profile=person,
            query=view.query(person.vector, ask.weights),
            request=self._request(view, ask, user, acts),
        )

    def _request(self, view: View, ask: Ask, user: dict[str, Any], acts: Acts) -> Request:
        shown: set[str] = set()
        if ask.shown_before is not None:
            shown = self._slates.shown(
                ask.user_id, since=ask.made_at - self._shown_lately, until=ask.made_at, until_seq=ask.shown_before
            )
        limit = user[User.MAXIMUM_AGE]
        return Request(
            on=ask.on,
            region=ask.region,
            filters=ask.filters,
            user_maximum_age=None if limit is None or pd.isna(limit) else int(limit),
            user_excluded_genres=tuple(user[User.EXCLUDED_GENRES]),
            seen=np.unique(acts.films[acts.watched]),
            dismissed=np.unique(acts.films[~acts.watched]),
            shown_lately=_rows(view, sorted(shown)),
        )


def _rows(view: View, films: Sequence[str]) -> Rows:
    return np.array([view.film_rows[film] for film in films if film in view.film_rows], np.int64)
