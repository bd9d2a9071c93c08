"""Assignment: who takes part in an experiment and which variant they get, by salted hashes and nothing else.

Every step turns a user id into a number in [0, 1) by SHA-256 with a salt of its own:

1. Layer: u(``layer:<layer>``, id). The user takes part when slot ⌊u · 1,000,000⌋ is one the experiment owns in
   the user's region.
2. Holdout: a user with u(``holdout:<period>``, id) below the holdout's share is in no experiment.
3. Variant: u(salt, id) against the cumulated weights. Nothing else enters, so salt and weights rebuild it.

Layout of the bytes: u(salt, id) = ⌊w / 2¹¹⌋ · 2⁻⁵³, where w is the big-endian number in the first 8 bytes of
SHA-256(salt ‖ id), both encoded in UTF-8 with nothing between them.

Source: Kohavi, Tang and Xu 2020, "Trustworthy Online Controlled Experiments", chapters 4 and 14 (hashing into
variants, triggering by layer); RFC 6234 (SHA-256).
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from experiments.layers import SLOTS, Holdout, Piece, Placement, alone
from experiments.plan import ExperimentPlan
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Texts: TypeAlias = Sequence[str] | npt.NDArray[Any] | pa.Array | pa.ChunkedArray | pd.Series
"""Ids or regions: a list, an array of NumPy, a series of pandas, an array of Arrow."""
Why = Literal["assigned", "region", "layer", "holdout"]

_DROPPED_BITS: Final = 11
_STEP: Final = 2.0**-53
_EVERY_SLOT: Final = ((0, SLOTS),)
# Below this many, starting the engine costs more than it saves.
_FEW: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one user stands towards an experiment.

    Args:
        variant: Which variant they get; None outside.
        why: ``assigned``, or what keeps them out: the ``region`` takes no part, the slot of the ``layer`` belongs to
            somebody else or to nobody, or they are in the ``holdout``.
    """

    variant: str | None
    why: Why


def uniform(salt: str, unit_ids: Texts) -> npt.NDArray[np.float64]:
    """Return each id's number under a salt.

    Args:
        salt: Any text but the empty one.
        unit_ids: ``(n,)`` texts, or whole numbers, which stand for their decimal digits.

    Returns:
        ``(n,)`` multiples of 2⁻⁵³ in [0, 1).

    Raises:
        InvalidValueError: When the salt is empty, or an id is missing, empty or neither text nor whole number.

    Example:
        >>> float(uniform("salt", ["u1"])[0]) == (int(hashlib.sha256(b"saltu1").hexdigest()[:16], 16) >> 11) / 2**53
        True
    """
    return _numbers(_words(_checked_salt(salt), _texts(unit_ids, "user ids")))


def split(salt: str, weights: Mapping[str, float], unit_ids: Texts) -> npt.NDArray[np.object_]:
    """Return the variant of every id that takes part: the whole rebuild of an assignment.

    An id gets variant i when c(i−1) ≤ u(salt, id) < c(i), with c(i) = (w(1) + … + w(i)) / (w(1) + … + w(k)). A
    weight of 0 gets nobody.

    Args:
        salt: The experiment's.
        weights: By variant, in the order of the plan; none negative, one at least positive.
        unit_ids: ``(n,)`` ids.

    Returns:
        ``(n,)`` names of variants.

    Raises:
        InvalidValueError: As `uniform`, or for weights that can't be.

    Example:
        >>> list(split("salt", {"control": 1, "off": 0, "treatment": 1}, ["u2", "u3", "u4", "u5"]))
        ['treatment', 'treatment', 'control', 'control']
    """
    return _chosen(uniform(salt, unit_ids), weights)


def assign(
    plan: ExperimentPlan,
    user_ids: Texts,
    regions: Texts,
    *,
    ramp: float | None = None,
    placement: Placement | None = None,
    holdout: Holdout | float = 0.0,
) -> npt.NDArray[np.object_]:
    """Return the variant of each user.

    Args:
        plan: With its salt.
        user_ids: ``(n,)`` ids.
        regions: ``(n,)`` regions of these users, or one for all.
        ramp: Monitored share of a canary; None takes the allocation. Only without a placement.
        placement: The slots the experiment owns, as its record holds them; None stands it alone in its layer, as a
            preview does.
        holdout: Share of all users that is in no experiment. Only without a placement, which has its own.

    Returns:
        ``(n,)`` names of variants, None for whom it does not concern.

    Raises:
        InvalidValueError: As `uniform`, or when ids and regions differ in number.
    """
    where = _placement(plan, ramp, placement, holdout)
    ids = _texts(user_ids, "user ids")
    found = np.full(len(ids), None, dtype=object)
    inside = _owned(ids, regions, where)
    if where.holdout.share > 0:
        drawn = _numbers(_words(where.holdout.salt, ids.take(pa.array(inside))))
        inside = inside[drawn >= where.holdout.share]
    drawn = _numbers(_words(plan.salt, ids.take(pa.array(inside))))
    found[inside] = _chosen(drawn, _weights(plan))
    return found


def standing(plan: ExperimentPlan, user_id: str, region: str, placement: Placement) -> Standing:
    """Return where one user stands, with the reason; the same as `assign`, without its start-up."""
    _checked_salt(plan.salt)
    if not isinstance(user_id, str) or not user_id:
        raise InvalidValueError(f"user_id == {user_id!r}", "must be text and not empty")
    pieces = placement.of(region)
    if not pieces:
        return Standing(variant=None, why="region")
    slot = int(_number(placement.salt, user_id) * SLOTS)
    if not any(low <= slot < high for low, high in pieces):
        return Standing(variant=None, why="layer")
    if placement.holdout.share > 0 and _number(placement.holdout.salt, user_id) < placement.holdout.share:
        return Standing(variant=None, why="holdout")
    drawn = np.array([_number(plan.salt, user_id)])
    return Standing(variant=str(_chosen(drawn, _weights(plan))[0]), why="assigned")


def variant_of(
    plan: ExperimentPlan,
    user_id: str,
    region: str,
    *,
    ramp: float | None = None,
    placement: Placement | None = None,
    holdout: Holdout | float = 0.0,
) -> str | None:
    """Return one user's variant, None when it does not concern them; arguments and errors as `assign`."""
    return standing(plan, user_id, region, _placement(plan, ramp, placement, holdout)).variant


def _placement(
    plan: ExperimentPlan, ramp: float | None, placement: Placement | None, holdout: Holdout | float
) -> Placement:
    _checked_salt(plan.salt)
    if ramp is not None:
        check_scalar(ramp, "ramp", ge=0, le=1, hint="0.05 is 5 % of the users of a region")
    if placement is not None:
        return placement
    out = holdout if isinstance(holdout, Holdout) else Holdout(share=holdout)
    return alone(plan, ramp, offset=offset_of(plan.salt), holdout=out)


def _weights(plan: ExperimentPlan) -> dict[str, float]:
    return {one.name: one.weight for one in plan.variants}


def offset_of(salt: str) -> float:
    """Return where on its layer's line an experiment begins to look for room: u(salt, ``offset``)."""
    return _number(salt, "offset")


def _owned(ids: pa.Array, regions: Texts, where: Placement) -> npt.NDArray[np.int64]:
    """Return the places of those who stand on a slot of their region."""
    codes, names = _coded(regions, len(ids))
    pieces_of = [where.of(name) for name in names]
    inside = np.array([pieces == _EVERY_SLOT for pieces in pieces_of], dtype=bool)[codes]
    # Where every slot or none is owned, nobody has to be hashed.
    partly = np.array([bool(pieces) and pieces != _EVERY_SLOT for pieces in pieces_of], dtype=bool)
    asked = np.flatnonzero(partly[codes])
    if asked.size:
        some = ids if asked.size == len(ids) else ids.take(pa.array(asked))
        slots = (_numbers(_words(where.salt, some)) * SLOTS).astype(np.int32)
        by_pieces: dict[tuple[Piece, ...], list[int]] = {}
        for code in np.flatnonzero(partly).tolist():
            by_pieces.setdefault(pieces_of[code], []).append(code)
        for pieces, members in by_pieces.items():
            here = _among(slots, pieces)
            inside[asked] |= here if len(by_pieces) == 1 else here & np.isin(codes[asked], members)
    return np.flatnonzero(inside)


def _coded(regions: Texts, count: int) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Return each user's region as a number, and the regions by number."""
    if isinstance(regions, str):
        return np.zeros(count, dtype=np.int64), [regions]
    named = _texts(regions, "regions")
    if len(named) != count:
        raise InvalidValueError(f"{count} users have {len(named)} regions", "must be as many", "give each one")
    coded = named.dictionary_encode()
    return coded.indices.to_numpy().astype(np.int64), coded.dictionary.to_pylist()


def _among(slots: npt.NDArray[np.int32], pieces: Sequence[Piece]) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(slots), dtype=bool)
    for low, high in pieces:
        found |= (slots >= low) & (slots < high)
    return found


def _chosen(drawn: npt.NDArray[np.float64], weights: Mapping[str, float]) -> npt.NDArray[np.object_]:
    for name, weight in weights.items():
        check_scalar(weight, f"weight of {name}", ge=0, hint="weights are shares of those who take part")
    positive = {name: weight for name, weight in weights.items() if weight > 0}
    if not positive:
        raise InvalidValueError(f"weights == {dict(weights)}", "one at least must be above 0", "give them as a=1,b=1")
    sums = list(accumulate(positive.values()))
    # The last boundary is left out: it closes at 1, whatever rounding says.
    bounds = np.array(sums[:-1], dtype=float) / sums[-1]
    return np.array(list(positive), dtype=object)[np.searchsorted(bounds, drawn, side="right")]


def _number(salt: str, unit_id: str) -> float:
    try:
        digest = hashlib.sha256((salt + unit_id).encode()).digest()
    except UnicodeEncodeError as error:
        raise InvalidValueError(f"user_id == {unit_id!r}", "must be text that UTF-8 can hold") from error
    return (int.from_bytes(digest[:8], "big") >> _DROPPED_BITS) * _STEP


def _numbers(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    return (words >> np.uint64(_DROPPED_BITS)).astype(np.float64) * _STEP


def _words(salt: str, ids: pa.Array) -> npt.NDArray[np.uint64]:
    """Return the first 8 bytes of each digest as a number."""
    if len(ids) > _FEW:
        return _words_by_engine(salt, ids)
    head, sha256 = salt.encode(), hashlib.sha256
    digests = b"".join([sha256(head + unit.encode()).digest()[:8] for unit in ids.to_pylist()])
    return np.frombuffer(digests, dtype=">u8").astype(np.uint64)


def _words_by_engine(salt: str, ids: pa.Array) -> npt.NDArray[np.uint64]:
    """Let DuckDB hash: it needs half the time of hashlib for short texts, and every core."""
    import duckdb

    units = pa.table({"unit": ids})
    with duckdb.connect(":memory:") as engine:
        engine.register("units", units)
        word = "('0x' || left(sha256($salt || unit), 16))::UBIGINT"
        found = engine.execute(f"SELECT {word} AS word FROM units", {"salt": salt})  # noqa: S608 - no value in it
        return np.asarray(found.fetchnumpy()["word"])


def _checked_salt(salt: str) -> str:
    if not salt:
        hint = "launching draws one; for a preview give the plan any salt"
        raise InvalidValueError("salt == ''", "must not be empty", hint)
    return salt


def _texts(values: Texts, name: str) -> pa.Array:
    """Return texts as one Arrow array without gaps."""
    try:
        # pandas knows its own missing values; everything else is converted as it stands.
        found = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError, TypeError, ValueError) as error:
        raise InvalidValueError(f"{name} can't be read: {error}", "must be texts", "give them as text") from error
    found = found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if len(found) == 0:
        return pa.array([], type=pa.string())
    if found.null_count:
        raise InvalidValueError(f"{found.null_count} of {len(found)} {name} are missing", "must all be there")
    if not (_is_text(found.type) or pa.types.is_integer(found.type)):
        raise InvalidValueError(f"{name} are of type {found.type}", "must be texts or whole numbers", "write as text")
    texts = found.cast(pa.string())
    empty = pc.sum(pc.equal(texts, "")).as_py()
    if empty:
        raise InvalidValueError(f"{empty} of {len(found)} {name} are empty", "must all be there")
    return texts


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
