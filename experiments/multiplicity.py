"""Many metrics at once: p-values that keep the error of the family, and intervals to match."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from experiments.estimates import check_alpha
from experiments.moments import FloatArray
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

Correction = Literal["holm", "bh"]


def adjust(p: Sequence[float] | npt.NDArray[np.float64], method: Correction = "holm") -> FloatArray:
    """Return adjusted p-values; compare them with alpha as they are.

    Source: Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian J. of Statistics 6:65;
    Benjamini & Hochberg (1995), J. Royal Statistical Society B 57:289, as statsmodels computes it.

    Args:
        p: p-values, ``(m,)``. NaN is a metric that was not estimable: it stays NaN and does not count.
        method: ``holm`` keeps the chance of any false alarm below alpha, ``bh`` the expected share of false ones
            among the alarms.

    Returns:
        ``(m,)``, in the order given.

    Raises:
        InvalidValueError: When a p-value is outside [0, 1] or the method unknown.

    Example:
        >>> adjust([0.01, 0.04, float("nan"), 0.03]).round(3).tolist()
        [0.03, 0.06, nan, 0.06]
    """
    from statsmodels.stats.multitest import fdrcorrection

    if method not in get_args(Correction):
        raise InvalidValueError(f"method == {method!r}", f"must be one of {', '.join(get_args(Correction))}")
    values = np.array(p, dtype=np.float64)
    if values.ndim != 1 or not (np.isnan(values) | ((values >= 0) & (values <= 1))).all():
        raise InvalidValueError(f"p == {values.tolist()}", "must be a list of numbers from 0 to 1, or NaN")
    known = ~np.isnan(values)
    if known.any():
        values[known] = _holm(values[known]) if method == "holm" else fdrcorrection(values[known])[1]
    return values


def matching_alpha(p: float, p_adjusted: float, alpha: float = 0.05) -> float:
    """Return the level at which an interval agrees with its adjusted p-value.

    An interval at 1 − α·p/p_adjusted leaves 0 out exactly when p_adjusted < α.

    Source: Benjamini & Yekutieli (2005), False discovery rate–adjusted multiple confidence intervals for selected
    parameters, J. American Statistical Association 100:71, §3, of which this is the level of one metric.

    Args:
        p: p-value before adjustment.
        p_adjusted: The same after it, at least as large.
        alpha: Error of the family.

    Example:
        >>> matching_alpha(0.01, 0.03)
        0.016666666666666666
    """
    check_alpha(alpha)
    check_scalar(p, "p", ge=0, le=1)
    check_scalar(p_adjusted, "p_adjusted", ge=p, le=1, hint="an adjustment never lowers p")
    # Two p of 0 have no quotient; whatever the level, their interval leaves 0 out.
    return alpha * p / p_adjusted if p > 0 else alpha


def _holm(p: FloatArray) -> FloatArray:
    # statsmodels has this in multipletests only, which collects all garbage of the process at each call: 50 ms and up.
    order = np.argsort(p)
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
