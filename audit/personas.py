"""Personas: accounts of nobody, alike in all but what an audit swaps.

In a panel of kind ``personas`` each taste has one history, and every combination of attributes holds it: whoever gets
another list gets it for a name, a gender, an age or a place. In one of kind ``matched`` every account has a history of
its own, drawn from the same tastes, as real people would.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit.groups import ORIGINS
from audit.histories import Shelf, draw_histories
from audit.panel import COLUMNS, Panel, user_groups
from audit.plan import AGE_BAND, CROSS, GENDER, MARKET, NAME_ORIGIN, PREMIUM, REGION, AuditPlan
from data.synthetic.vocabulary import cultures
from recommender.rules import Request
from recommender.view import View
from workspace.columns import User
from workspace.errors import InvalidValueError, StateError

__all__ = ["ATTRIBUTES", "Panel", "build_panel", "user_groups"]

Rows = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

GENDERS: Final = ("woman", "man")
AGES: Final[Mapping[str, int]] = {"18–29": 24, "30–44": 37, "45–59": 52, "60+": 68}
"""Age of a persona by its band. All are adults: what is forbidden to a child is law, not bias."""
ATTRIBUTES: Final[Mapping[str, tuple[str, ...]]] = {
    NAME_ORIGIN: tuple(ORIGINS),
    GENDER: GENDERS,
    AGE_BAND: tuple(AGES),
}
"""Values of the attributes that no catalogue knows; regions and markets are the catalogue's own."""
_THINNED_FIRST: Final = (REGION, AGE_BAND, PREMIUM, GENDER, NAME_ORIGIN)
_LEAST_LEVELS: Final = 2
_EPOCH: Final = dt.date(1970, 1, 1)
_TASTES, _HISTORIES, _NAMES, _LEVELS = range(4)
"""Streams of the seed: a change of one part of a panel leaves the draws of the others alone."""


def build_panel(plan: AuditPlan, view: View) -> Panel:
    """Return the panel a plan names.

    Args:
        plan: The plan.
        view: The version under audit with the catalogue that answers for facts.

    Raises:
        NotEstimableError: When a history would be empty.
        InvalidValueError: When so few personas are asked for that no attribute could be swapped.
        StateError: When the catalogue has no user, and so no region.
    """
    if plan.panel == "observed":
        from audit.observed import observed_panel

        return observed_panel(plan, view)
    regions = _regions(view)
    levels = _levels(plan, regions)
    cells = _cells(plan, levels)
    copies = [len(one) for one in cells]
    shelf = Shelf(view.films, _lawful(view, plan.on, levels[REGION]))
    rng = np.random.default_rng([plan.seed, _TASTES])
    tastes = [shelf.draw(rng) for _ in range(plan.tastes)]
    own = plan.panel == "matched"
    drawn = draw_histories(
        shelf,
        tastes,
        copies=copies if own else [1] * len(tastes),
        length=plan.history_length,
        before=float((plan.on - _EPOCH).days),
        seed=(plan.seed, _HISTORIES),
    )
    taste = np.repeat(np.arange(len(tastes)), copies)
    return Panel(
        kind=plan.panel,
        accounts=_accounts(plan, [cell for one in cells for cell in one], taste, regions),
        film_ids=tuple(view.stored.film_ids),
        histories=drawn.seen,
        heldout=drawn.relevant,
        history_of=np.arange(len(taste)) if own else taste,
        cluster=taste,
        left_out={},
    )


def _regions(view: View) -> dict[str, str]:
    """Return the market of each region, the region with most users first."""
    users = view.catalogue.users
    if users.empty:
        raise StateError(
            "the catalogue has no user", "regions and markets are theirs", "import users, or run `recommendr init`"
        )
    order = users[User.REGION].value_counts().sort_index().sort_values(ascending=False, kind="stable").index
    markets = users.groupby(User.REGION)[User.MARKET].agg(lambda values: values.mode().iloc[0])
    return {str(region): str(markets[region]) for region in order}


def _levels(plan: AuditPlan, regions: Mapping[str, str]) -> dict[str, tuple[str | bool, ...]]:
    """Return the values each attribute takes: all where the plan asks for it, else the first."""
    asked = {name for axis in plan.axes for name in axis.split(CROSS)}
    homes: dict[str, str] = {}
    for region, market in regions.items():
        homes.setdefault(market, region)  # of each market the region with most users
    places = tuple(regions) if REGION in asked else tuple(homes.values())
    return {
        NAME_ORIGIN: ATTRIBUTES[NAME_ORIGIN][: None if NAME_ORIGIN in asked else 1],
        GENDER: GENDERS[: None if GENDER in asked else 1],
        AGE_BAND: tuple(AGES) if AGE_BAND in asked else ("30–44",),
        REGION: places if asked & {REGION, MARKET} else places[:1],
        PREMIUM: (False, True) if PREMIUM in asked else (False,),
    }


def _cells(plan: AuditPlan, levels: Mapping[str, tuple[str | bool, ...]]) -> list[list[dict[str, str | bool]]]:
    """Return the combinations of attributes each taste is given to.

    Where there are too many, some attributes take only part of their values in each taste, in turns, so that over all
    tastes every value is as frequent as any other. Within a taste all that is left is combined with all, so that every
    swap has its pairs.
    """
    sizes = {name: len(values) for name, values in levels.items()}
    if plan.personas:
        _thin(sizes, plan.personas // plan.tastes, plan)
    rng = np.random.default_rng([plan.seed, _LEVELS])
    turns = {name: _turns(rng, len(levels[name]), sizes[name], plan.tastes) for name in levels}
    out = []
    for taste in range(plan.tastes):
        cells: list[dict[str, str | bool]] = [{}]
        for name, values in levels.items():
            cells = [{**cell, name: values[place]} for cell in cells for place in turns[name][taste]]
        out.append(cells)
    return out


def _thin(sizes: dict[str, int], most: int, plan: AuditPlan) -> None:
    """Lower the numbers of values until their product is at most ``most``; names are thinned last."""
    for name in _THINNED_FIRST:
        others = int(np.prod([size for other, size in sizes.items() if other != name]))
        if others * sizes[name] > most:
            sizes[name] = min(sizes[name], max(_LEAST_LEVELS, most // others))
    least = int(np.prod(list(sizes.values())))
    if least > most:
        raise InvalidValueError(
            f"personas == {plan.personas}",
            f"must be >= {least * plan.tastes}, for {plan.tastes} tastes and each attribute swapped",
            "ask for more personas, fewer tastes or fewer axes",
        )


def _turns(rng: np.random.Generator, values: int, taken: int, tastes: int) -> list[list[int]]:
    """Deal out values to tastes from shuffled packs, ``taken`` different ones to each, in their order."""
    if taken == values:
        return [list(range(values))] * tastes
    hands: list[list[int]] = []
    pack: list[int] = []
    for _ in range(tastes):
        hand: list[int] = []
        while len(hand) < taken:
            if not any(card not in hand for card in pack):
                pack.extend(rng.permutation(values).tolist())
            hand.append(pack.pop(next(place for place, card in enumerate(pack) if card not in hand)))
        hands.append(sorted(hand))
    return hands


def _lawful(view: View, on: dt.date, regions: Sequence[str | bool]) -> Mask:
    """Return the films that everybody of a panel may be shown; those of some region where that leaves few.

    A history of films that are forbidden to some of its holders would make the rules speak in place of the recommender.
    """
    masks = [view.rules.decide(Request(on=on, region=str(region))).allowed for region in regions]
    everywhere: Mask = np.logical_and.reduce(masks)
    anywhere: Mask = np.logical_or.reduce(masks)
    return everywhere if 2 * everywhere.sum() >= anywhere.sum() else anywhere


def _accounts(
    plan: AuditPlan, cells: Sequence[Mapping[str, str | bool]], taste: Rows, regions: Mapping[str, str]
) -> pd.DataFrame:
    names: dict[tuple[int, str, str], str] = {}
    rng = np.random.default_rng([plan.seed, _NAMES])
    rows = []
    for place, (cell, one) in enumerate(zip(cells, taste.tolist(), strict=True)):
        # One name a taste, origin and gender: personas that differ in age or place alone must not differ in name too.
        key = (one, str(cell[NAME_ORIGIN]), str(cell[GENDER]))
        if key not in names:
            names[key] = _name(rng, key[1], key[2])
        band, region = str(cell[AGE_BAND]), str(cell[REGION])
        rows.append(
            (
                f"p{place:06d}",
                one,
                names[key],
                key[1],
                key[2],
                AGES[band],
                band,
                region,
                regions[region],
                bool(cell[PREMIUM]),
                None,
                (),
            )
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _name(rng: np.random.Generator, origin: str, gender: str) -> str:
    culture = cultures()[str(rng.choice(ORIGINS[origin]))]
    given = culture.women if gender == GENDERS[0] else culture.men
    return culture.full_name(str(rng.choice(given)), str(rng.choice(culture.family)))
