"""A panel: accounts with histories, real or made up, that the recommender under audit is asked about."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import rfc8785

from audit.groups import Codes, coded, crossed
from audit.plan import AGE_BAND, CROSS, GENDER, MARKET, NAME_ORIGIN, PREMIUM, REGION, USER_AXES
from audit.plan import Panel as Kind
from recommender.acts import Acts
from workspace.columns import User
from workspace.errors import InvalidValueError

Rows = npt.NDArray[np.int64]

PERSONA: Final = "persona_id"
TASTE: Final = "taste"
NAME: Final = "name"
AGE: Final = "age"
COLUMNS: Final = (
    PERSONA,
    TASTE,
    NAME,
    NAME_ORIGIN,
    GENDER,
    AGE,
    AGE_BAND,
    REGION,
    MARKET,
    PREMIUM,
    User.MAXIMUM_AGE,
    User.EXCLUDED_GENRES,
)
PREMIUM_NAMES: Final = ("free", "premium")
"""Groups of the axis ``premium``: False and True of the account."""
_ORDERS: Final[Mapping[str, Sequence[str]]] = {PREMIUM: PREMIUM_NAMES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Accounts with their histories.

    Args:
        kind: ``personas``, ``matched`` or ``observed``.
        accounts: One row a persona or user, columns `COLUMNS`; what is not known of an account is empty.
        film_ids: What the film rows of ``histories`` and ``heldout`` stand for.
        histories: What was watched and rated; ``users`` are codes of histories, not of accounts.
        heldout: Films kept back that the owner of a history would like; ``users`` likewise.
        history_of: Code of each account's history, shape ``(n,)``; accounts of personas share theirs.
        cluster: What is drawn independently, shape ``(n,)``: the taste, or the user.
        left_out: Users of the catalogue who are not in the panel, by reason.
    """

    kind: Kind
    accounts: pd.DataFrame
    film_ids: tuple[str, ...]
    histories: Acts
    heldout: Acts
    history_of: Rows
    cluster: Rows
    left_out: Mapping[str, int]

    def __len__(self) -> int:
        """Return how many accounts there are."""
        return len(self.accounts)

    @property
    def n_histories(self) -> int:
        """How many distinct histories there are."""
        return int(self.history_of.max(initial=-1)) + 1

    @property
    def panel_hash(self) -> str:
        """SHA-256 of everything in it, hexadecimal: the same panel on every machine."""
        digest = hashlib.sha256(rfc8785.dumps([self.kind, list(self.film_ids), dict(self.left_out)]))
        for row in self.accounts.itertuples(index=False):
            digest.update("\x1f".join(map(str, row)).encode() + b"\x1e")
        for acts in (self.histories, self.heldout):
            for array, form in ((acts.users, "<i8"), (acts.films, "<i8"), (acts.likes, "<f8"), (acts.days, "<f8"),
                                (acts.watched, "|b1"), (acts.positive, "|b1")):  # fmt: skip
                digest.update(np.ascontiguousarray(array, form).tobytes())
        for codes in (self.history_of, self.cluster):
            digest.update(np.ascontiguousarray(codes, "<i8").tobytes())
        return digest.hexdigest()

    def by_account(self, acts: Acts, codes: Rows | None = None) -> Acts:
        """Return histories, or films kept back, with one copy an account.

        Args:
            acts: ``histories`` or ``heldout``.
            codes: Which accounts; all when None.

        Returns:
            Acts whose ``users`` are places in ``codes``.
        """
        wanted = self.history_of if codes is None else self.history_of[codes]
        order = np.argsort(acts.users, kind="stable")
        starts = np.searchsorted(acts.users[order], np.arange(self.n_histories + 1))
        lengths = np.diff(starts)[wanted]
        users = np.repeat(np.arange(len(wanted)), lengths)
        within = np.arange(len(users)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        taken = acts.take(order[np.repeat(starts[:-1][wanted], lengths) + within])
        return replace_users(taken, users)


def replace_users(acts: Acts, users: Rows) -> Acts:
    """Return the same acts of other users, shape ``(n_acts,)``."""
    return Acts(
        users=users,
        films=acts.films,
        likes=acts.likes,
        watched=acts.watched,
        positive=acts.positive,
        days=acts.days,
    )


def user_groups(panel: Panel, axis: str) -> tuple[Codes, tuple[str, ...]]:
    """Return each account's group on an axis.

    Args:
        panel: The panel.
        axis: Of `audit.plan.USER_AXES`, or several joined by `CROSS`.

    Returns:
        Codes of shape ``(n,)``, −1 where unknown, and the names of the groups that occur.

    Raises:
        InvalidValueError: For an axis nobody knows, or one that is known of no account.
    """
    parts = [_axis(panel, name, axis) for name in axis.split(CROSS)]
    return parts[0] if len(parts) == 1 else crossed(parts)


def _axis(panel: Panel, name: str, axis: str) -> tuple[Codes, tuple[str, ...]]:
    if name not in USER_AXES:
        raise InvalidValueError(f"axis == {axis!r}", f"must be one of {', '.join(USER_AXES)}", f"join two by {CROSS!r}")
    values = panel.accounts[name].tolist()
    labels = [PREMIUM_NAMES[value] if isinstance(value, bool) else value for value in values]
    codes, names = coded(labels, _ORDERS.get(name))
    if not names:
        raise InvalidValueError(
            f"axis == {axis!r}", f"no account of a panel of kind {panel.kind} has a {name}", "choose another axis"
        )
    return codes, names
