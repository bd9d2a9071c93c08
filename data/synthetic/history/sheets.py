"""Events as Arrow tables: ids through buffers, words through dictionaries, no Python by row."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.synthetic.history.acts import EVENT_TYPES, MICROSECONDS, Acts, Type
from data.synthetic.history.crowd import Crowd
from data.synthetic.history.draws import Draw, Flags, Ints, Kind, Rows, generator, ids
from data.synthetic.history.plan import ARMS, Plan
from data.synthetic.history.repertoire import Repertoire
from data.synthetic.history.slates import RealSlates
from data.synthetic.history.visits import DAY_ZERO, SECONDS_A_DAY, Arms, Visits
from data.synthetic.regions import REGION_CODES
from workspace.columns import Event

DEVICES: Final = ("web", "ios", "android", "tv")
LATE_SHARE: Final = 0.004
LATE_FROM_S, LATE_TO_S = 120.0, 3.0 * SECONDS_A_DAY
DELAY_MEDIAN_S, DELAY_SPREAD = 1.5, 0.8
OTHER_DEVICE: Final = 0.15
DICTIONARIES: Final = (
    Event.USER,
    Event.SESSION,
    Event.TRANSACTION,
    Event.REGION,
    Event.DEVICE,
    Event.TYPE,
    Event.SLATE,
    Event.FILM,
    Event.POSITION,
    Event.EXPERIMENT,
    Event.VARIANT,
    Event.INDEX_VERSION,
    Event.EXTRA,
)
"""Columns with few values; event ids and times have none to gain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slates:
    """The slates of a cell and day as they are named outside; what logs and traces need."""

    slate: pa.Array
    transaction: pa.Array
    user: Rows
    micros: Ints


class Sheets:
    """Makes the tables.

    Args:
        plan: The plan.
        films: The films.
        real: Slates of the recommender.
        physical: Whether rows are as stored, instead of as they arrive.
    """

    def __init__(self, plan: Plan, films: Repertoire, real: RealSlates, *, physical: bool) -> None:
        self._plan = plan
        self._films = films
        self._real = real
        self._physical = physical
        self._zone = None if physical else "UTC"
        self._versions = list(dict.fromkeys(one.name for one in plan.versions))
        known = {*self._versions}
        self._versions += [name for name in dict.fromkeys(real.version) if name not in known]

    def slates(self, visits: Visits, acts: Acts, cell: int, day: int) -> Slates:
        """Return the names of the slates."""
        seed, count = self._plan.spec.seed, len(visits.visit)
        shown = np.flatnonzero((acts.kind == Type.IMPRESSION) & (acts.place == 0))
        micros = np.zeros(count, dtype=np.int64)
        micros[acts.slate[shown]] = acts.micros[shown]
        slate = ids(Kind.SLATE, seed, day, cell, count)
        transaction = ids(Kind.TRANSACTION, seed, day, cell, count)
        return Slates(
            slate=_with(slate, self._real.slate, visits.real),
            transaction=_with(transaction, self._real.transaction, visits.real),
            user=visits.user[visits.visit],
            micros=micros,
        )

    def events(
        self, crowd: Crowd, visits: Visits, film: Rows, acts: Acts, slates: Slates, arm: Arms, cell: int, day: int
    ) -> pa.Table:
        """Return the events of a cell and day, by user and time."""
        seed, spec = self._plan.spec.seed, self._plan.spec
        rng = generator(seed, Draw.RECEIPT, cell, day)
        user, count = slates.user[acts.slate], len(acts.slate)
        midnight = (spec.date_of(day).toordinal() - DAY_ZERO) * SECONDS_A_DAY * MICROSECONDS
        ts = midnight + acts.micros
        survey, unnamed = acts.kind == Type.SURVEY, acts.place < 0
        visit = visits.visit[acts.slate]
        device = self._devices(rng, crowd, visits)[visit]
        variant = arm.arm[user]
        outside = variant < 0
        shown = film[acts.slate, np.maximum(acts.place, 0)]
        session = ids(Kind.SESSION, seed, day, cell, len(visits.user))
        experiment = [arm.experiment.name if arm.experiment else ""]
        columns = {
            Event.ID: ids(Kind.EVENT, seed, day, cell, count),
            Event.TS: self._moments(ts),
            Event.RECEIVED_AT: self._moments(_received(rng, ts, spec.end)),
            Event.USER: self._users(crowd, user),
            Event.SESSION: _coded(visit, session),
            Event.TRANSACTION: _coded(acts.slate, slates.transaction),
            Event.REGION: _coded(crowd.region[user], REGION_CODES),
            Event.DEVICE: _coded(device, DEVICES),
            Event.TYPE: _coded(acts.kind, EVENT_TYPES),
            Event.SLATE: _coded(acts.slate, slates.slate, survey),
            Event.FILM: _coded(shown, self._films.ids, unnamed),
            Event.POSITION: pa.array((acts.place + 1).astype(np.int16), mask=unnamed),
            Event.VALUE: pa.array(acts.value, mask=np.isnan(acts.value)),
            Event.EXPERIMENT: _coded(np.zeros(count, dtype=np.int8), experiment, outside),
            Event.VARIANT: _coded(np.maximum(variant, 0), ARMS, outside),
            Event.INDEX_VERSION: self._version(visits, acts, day),
        }
        if self._physical:
            columns[Event.EXTRA] = pa.nulls(count, pa.string())
        return pa.table(columns)

    def _moments(self, micros: Ints) -> pa.Array:
        return pa.array(micros).view(pa.timestamp("us", tz=self._zone))

    def _users(self, crowd: Crowd, user: Rows) -> pa.Array:
        if self._physical:
            return pa.array(crowd.ids.to_numpy()[user])
        return _coded(user, crowd.ids)

    def _devices(self, rng: np.random.Generator, crowd: Crowd, visits: Visits) -> npt.NDArray[np.int8]:
        """Return the device of each visit: the user's own, now and then another."""
        other = rng.integers(0, len(DEVICES), len(visits.user), dtype=np.int8)
        elsewhere = rng.random(len(visits.user)) < OTHER_DEVICE
        devices: npt.NDArray[np.int8] = np.where(elsewhere, other, crowd.device[visits.user])
        return devices

    def _version(self, visits: Visits, acts: Acts, day: int) -> pa.Array:
        number = np.full(len(visits.visit), self._versions.index(self._plan.version(day).name), dtype=np.int16)
        real = np.flatnonzero(visits.real >= 0)
        number[real] = [self._versions.index(self._real.version[row]) for row in visits.real[real]]
        return _coded(number[acts.slate], self._versions)


def _received(rng: np.random.Generator, ts: Ints, end: date) -> Ints:
    """Return when events arrived: at once, or, for a few, minutes to three days late; never after the history."""
    count = len(ts)
    delay = DELAY_MEDIAN_S * np.exp(np.float32(DELAY_SPREAD) * rng.standard_normal(count, dtype=np.float32))
    late = np.flatnonzero(rng.random(count, dtype=np.float32) < LATE_SHARE)
    delay[late] = LATE_FROM_S * (LATE_TO_S / LATE_FROM_S) ** rng.random(len(late))
    last = (end.toordinal() - DAY_ZERO) * SECONDS_A_DAY * MICROSECONDS
    received: Ints = np.minimum(ts + (delay * MICROSECONDS).astype(np.int64), last)
    return received


def _with(made: pa.Array, real: tuple[str, ...], rows: Rows) -> pa.Array:
    """Return ids with those of the real slates in their places."""
    places = np.flatnonzero(rows >= 0)
    if not len(places):
        return made
    index = np.arange(len(made))
    index[places] = len(made) + np.arange(len(places))
    return pa.concat_arrays([made, pa.array([real[row] for row in rows[places]], type=pa.string())]).take(
        pa.array(index)
    )


def _coded(index: npt.NDArray[Any], words: Any, absent: Flags | None = None) -> pa.DictionaryArray:  # noqa: ANN401
    """Return words by their number; ``words`` is an Arrow array or a sequence of strings."""
    dictionary = words if isinstance(words, pa.Array) else pa.array(words, type=pa.string())
    codes = pa.array(index.astype(np.int32, copy=False), mask=absent)
    return pa.DictionaryArray.from_arrays(codes, dictionary)
