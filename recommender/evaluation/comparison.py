"""Two configurations on the same users: is one better, worse, or can't it be told?"""

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from recommender.evaluation.metrics import mean_over_users
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Floats = npt.NDArray[np.float64]
Verdict = Literal["better", "worse", "no difference"]

ALPHA: Final = 0.05
_LEAST_USERS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A paired comparison, per user.

    Args:
        candidate: Name of what is judged.
        baseline: Name of what it is held against.
        metric: The figure compared.
        users: Users both were judged on.
        difference: Mean of candidate minus baseline.
        ci95: Its interval.
        p_value: Two-sided, paired t test.
        verdict: By the interval, and by nothing else.
    """

    candidate: str
    baseline: str
    metric: str
    users: int
    difference: float
    ci95: tuple[float, float]
    p_value: float
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "ci95": list(self.ci95)}

    def exit_code(self, *, must_be_better: bool = False) -> int:
        """Return 0 when a pipeline may go on, else 1: never on worse, and on "no difference" only if that is enough."""
        return int(self.verdict == "worse" or (must_be_better and self.verdict != "better"))


def compare(
    candidate: Floats,
    baseline: Floats,
    *,
    names: tuple[str, str] = ("candidate", "baseline"),
    metric: str = "precision_at_k",
    alpha: float = ALPHA,
) -> Comparison:
    """Compare two figures of the same users.

    Args:
        candidate: One figure a user, shape ``(m,)``; NaN where not estimable.
        baseline: The same users in the same order.
        names: Of the two.
        metric: What the figures are.
        alpha: Two-sided level of interval and verdict.

    Raises:
        InvalidValueError: When the users don't match, or fewer than two have both figures.

    Example:
        >>> compare(np.array([0.4, 0.6, 0.4]), np.array([0.2, 0.2, 0.2])).verdict
        'better'
    """
    check_scalar(alpha, "alpha", gt=0, lt=1)
    if candidate.shape != baseline.shape:
        raise InvalidValueError(f"users == {len(candidate)} and {len(baseline)}", "must be the same users")
    difference = candidate - baseline
    known = difference[~np.isnan(difference)]
    if len(known) < _LEAST_USERS:
        raise InvalidValueError(f"users with both figures == {len(known)}", f"must be >= {_LEAST_USERS}")
    mean = mean_over_users(known, confidence=1 - alpha)
    # Without any spread the t statistic is 0/0 or infinite: equal for all users, or different by the same for all.
    if mean.standard_error == 0:
        p_value = 1.0 if mean.value == 0 else 0.0
    else:
        p_value = float(2 * stats.t.sf(abs(mean.value) / mean.standard_error, len(known) - 1))
    verdict: Verdict = "no difference"
    if mean.low > 0:
        verdict = "better"
    elif mean.high < 0:
        verdict = "worse"
    return Comparison(
        candidate=names[0],
        baseline=names[1],
        metric=metric,
        users=len(known),
        difference=mean.value,
        ci95=(mean.low, mean.high),
        p_value=p_value,
        verdict=verdict,
    )
