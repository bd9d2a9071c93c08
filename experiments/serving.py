"""Serving by flag: the user's variant names the index version, and the recommender answers with that one.

The recommender holds several opened versions side by side, so that control and treatment are answered by the same
process.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

from experiments.flags import Flags, Served
from recommender.engine import Recommender
from recommender.rules import Filters
from recommender.slates import Slate


class Request(TypedDict, total=False):
    """What may be asked for beside the user, as `Recommender.recommend` takes it; the version is the flag's."""

    k: int
    filters: Filters | None
    region: str | None
    on: dt.date | None
    seed: int
    log: bool
    shown_lately: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A slate, and why it came from this index version.

    Args:
        slate: What is shown; its ``index_version`` is the one that made it.
        served: Variant and experiment of the user.
    """

    slate: Slate
    served: Served

    def to_dict(self) -> dict[str, Any]:
        """Return plain data: the slate, and beside it what the flag said."""
        return {**self.slate.to_dict(), "served": self.served.to_dict()}


def serve(recommender: Recommender, flags: Flags, flag: str, user_id: str, **request: Unpack[Request]) -> Serving:
    """Recommend by the index version of the user's variant.

    Allocation is by the user's home region, wherever the request comes from: a journey moves nobody into an experiment
    or out of it.

    Args:
        recommender: Answers.
        flags: Knows the variants.
        flag: Which flag decides.
        user_id: Who.
        **request: What else is asked for.

    Raises:
        UnknownError: For an unknown flag, user or version.
        InvalidValueError: As the recommender.
    """
    home = recommender.desk(recommender.view()).region(user_id, None)
    served = flags.lookup(flag, user_id, home)
    slate = recommender.recommend(user_id, version=served.index_version, **request)
    return Serving(slate=slate, served=served)
