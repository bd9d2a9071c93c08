"""Layers: which slots of a layer an experiment owns, so that experiments of one layer never share a user.

A layer is a line of `SLOTS` slots. A user stands on the same slot of a layer for ever, by a hash of the layer's own
(see `experiments.assignment`). Each running experiment owns some slots, region by region; the share of the region's
users who take part is the number of slots it owns. Growing adds slots and never gives one back, so nobody ever
leaves by a ramp. The first slot is drawn from the experiment's salt: experiments that follow each other in a layer
do not meet the same users each time.

Source: Tang, Agarwal, O'Brien and Meyer 2010, "Overlapping Experiment Infrastructure", section 4 (layers).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from experiments.plan import ExperimentPlan
from workspace.checks import check_scalar
from workspace.errors import StateError

SLOTS: Final = 1_000_000
ELSEWHERE: Final = "*"
"""Stands for every region that is not named."""

Piece = tuple[int, int]
"""First slot, and the first one behind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """The users who are in no experiment of any layer.

    Args:
        share: Of all users, in [0, 1).
        period: Counts the drawings: another period is another group of users.
    """

    share: float = 0.0
    period: int = 1

    def __post_init__(self) -> None:
        check_scalar(self.share, "holdout", ge=0, lt=1, hint="0.05 keeps 5 % of the users out of every experiment")

    @property
    def salt(self) -> str:
        """What the group is drawn by."""
        return f"holdout:{self.period}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The slots of one experiment.

    Args:
        layer: In which layer.
        pieces: Slots by region, rising and apart from each other; `ELSEWHERE` holds those of every other region.
        holdout: Who is left out although they stand on such a slot.
    """

    layer: str
    pieces: Mapping[str, tuple[Piece, ...]] = field(default_factory=dict)
    holdout: Holdout = Holdout()

    @property
    def salt(self) -> str:
        """What the layer's slots are drawn by."""
        return f"layer:{self.layer}"

    def of(self, region: str) -> tuple[Piece, ...]:
        """Return the slots in a region."""
        return self.pieces.get(region, self.pieces.get(ELSEWHERE, ()))

    def share(self, region: str) -> float:
        """Return which share of the users of a region stands on these slots."""
        return _size(self.of(region)) / SLOTS

    def to_dict(self) -> dict[str, Any]:
        """Return the placement as plain data."""
        return {
            "layer": self.layer,
            "pieces": {region: [list(piece) for piece in pieces] for region, pieces in self.pieces.items()},
            "holdout": {"share": self.holdout.share, "period": self.holdout.period},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Placement":
        """Return a placement from what `to_dict` gave."""
        pieces = {
            region: tuple((int(low), int(high)) for low, high in found) for region, found in document["pieces"].items()
        }
        return cls(layer=document["layer"], pieces=pieces, holdout=Holdout(**document["holdout"]))


def widths(plan: ExperimentPlan, share: float | None, *, canary: bool) -> dict[str, float]:
    """Return the share of the users that takes part, by region; `ELSEWHERE` for every region not named.

    A region without allocation takes no part, in the canary neither.

    Args:
        plan: Allocates.
        share: What the ramp stands at; None where there is none.
        canary: Whether the ramp alone counts; else the larger of ramp and allocation, so that nobody leaves when a
            canary becomes an experiment.

    Example:
        >>> from experiments.plan import read_plan
        >>> plan = read_plan({"experiment_id": "e", "hypothesis": "It gets better.", "owner": "pm", "flag": "f",
        ...     "variants": [{"name": "a", "weight": 1}, {"name": "b", "weight": 1}], "start": "2026-01-01",
        ...     "metrics": [{"metric": "ctr", "kind": "primary"}], "allocation": {"DE": 0, "US": 0.2}})
        >>> widths(plan, 0.05, canary=True)
        {'DE': 0.0, 'US': 0.05, '*': 0.05}
        >>> widths(plan, 0.15, canary=False)
        {'DE': 0.0, 'US': 0.2, '*': 0.15}
    """
    ramp = 0.0 if share is None else share
    allocated = {**plan.allocation, ELSEWHERE: plan.default_allocation}
    return {
        region: 0.0 if part <= 0 else float(ramp if canary else max(part, ramp)) for region, part in allocated.items()
    }


def place(
    own: Placement,
    wanted: Mapping[str, float],
    others: Mapping[str, Placement],
    *,
    offset: float,
) -> Placement:
    """Return the placement grown to the shares wanted, on slots nobody else of the layer owns.

    Args:
        own: What the experiment owns already; none of it is given back.
        wanted: Share by region, as `widths` returns it.
        others: What the other live experiments of the layer own, by their ids.
        offset: Where on the line to begin, in [0, 1).

    Raises:
        StateError: When a region has too few free slots, naming the shares.
    """
    regions = {*wanted, *own.pieces, *(region for other in others.values() for region in other.pieces)}
    first = int(offset * SLOTS)
    grown: dict[str, tuple[Piece, ...]] = {}
    for region in sorted(regions):
        share = wanted.get(region, wanted[ELSEWHERE])
        target = 0 if share <= 0 else max(1, round(share * SLOTS))
        mine = own.of(region)
        missing = target - _size(mine)
        free = _free([*mine, *(piece for other in others.values() for piece in other.of(region))])
        if missing > _size(free):
            raise _full(own.layer, region, share, {name: other.share(region) for name, other in others.items()})
        grown[region] = _joined([*mine, *_first(free, missing, first)])
    return Placement(layer=own.layer, pieces=grown, holdout=own.holdout)


def alone(
    plan: ExperimentPlan, share: float | None = None, *, offset: float, holdout: Holdout | None = None
) -> Placement:
    """Return where a plan would stand if its layer were empty.

    Args:
        plan: The plan.
        share: Monitored share of a canary; None takes the allocation.
        offset: Where on the line to begin, in [0, 1).
        holdout: Who is left out; nobody when None.
    """
    own = Placement(layer=plan.layer, holdout=holdout or Holdout())
    return place(own, widths(plan, share, canary=share is not None), {}, offset=offset)


def _full(layer: str, region: str, share: float, taken: Mapping[str, float]) -> StateError:
    where = "a region not named" if region == ELSEWHERE else f"region {region}"
    owned = ", ".join(f"{name} {part:.4%}" for name, part in sorted(taken.items()) if part > 0)
    return StateError(
        f"layer {layer!r} has no room for {share:.4%} of the users of {where}",
        f"only {max(0.0, 1 - sum(taken.values())):.4%} are free beside {owned or 'nobody'}",
        "allocate less, wait until one of them has stopped, or choose another layer",
    )


def _size(pieces: Iterable[Piece]) -> int:
    return sum(high - low for low, high in pieces)


def _joined(pieces: Iterable[Piece]) -> tuple[Piece, ...]:
    """Return pieces in order, those that touch made one."""
    joined: list[Piece] = []
    for low, high in sorted(piece for piece in pieces if piece[0] < piece[1]):
        if joined and low <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(joined)


def _free(taken: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return what is left of the line."""
    edges = [0, *(edge for piece in _joined(taken) for edge in piece), SLOTS]
    return tuple((low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high)


def _first(free: Sequence[Piece], count: int, offset: int) -> list[Piece]:
    """Return the first free slots from an offset on; behind the end of the line the search begins at its start."""
    behind = [(max(low, offset), high) for low, high in free if high > offset]
    before = [(low, min(high, offset)) for low, high in free if low < offset]
    chosen: list[Piece] = []
    for low, high in (*behind, *before):
        if count <= 0:
            break
        chosen.append((low, min(high, low + count)))
        count -= chosen[-1][1] - low
    return chosen
