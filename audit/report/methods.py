"""The formulas of everything a report states, in plain text, each with its source; and what no audit of this kind sees.

A method is listed when the plan asks for something that rests on it.
"""

from dataclasses import dataclass
from typing import Any, Final

from audit.plan import AuditPlan


@dataclass(frozen=True, slots=True)
class Method:
    """One formula.

    Args:
        name: What it is called.
        formula: In plain text.
        words: What it means and how it is used here.
        source: Where it is from.
        when: The measure that needs it; empty: every report does.
    """

    name: str
    formula: str
    words: str
    source: str
    when: str = ""


MEASURES: Final = (
    Method(
        "Reach",
        "reach(g, F) = users of g with at least one film of F among the first k / users of g",
        "A share of users.",
        "",
        "reach",
    ),
    Method(
        "Discounted exposure",
        "v(j) = 1 / log2(1 + j) for places j = 1 … k, else 0;  E(g, F) = Σ v(j) over films of F / Σ v(j) over all"
        " films, mean over users of g",
        "A film higher on the slate is seen more often. A user with an empty slate has no exposure and is not counted.",
        "Singh & Joachims 2018, Fairness of Exposure in Rankings, sections 3 and 5",
        "exposure",
    ),
    Method(
        "Taste against system",
        "H(g, F) = share of films of F in the histories of g;  gap = E − H;  ratio = E / E of the reference",
        "What a group asked for by its histories is told from what the system makes of it.",
        "",
        "exposure",
    ),
    Method(
        "Precision at k",
        "P = films of the slate that were held back / k, mean over users with films held back",
        "Short slates count their empty places as misses.",
        "",
        "precision_at_k",
    ),
    Method(
        "Hit rate",
        "HR = users with at least one film held back on their slate / users with films held back",
        "",
        "",
        "hit_rate",
    ),
    Method(
        "Miscalibration of genres",
        "KL(p ‖ q̃) = Σ_g p(g) · log(p(g) / q̃(g)),  q̃ = (1 − a) q + a p,  a = 0.01",
        "p: genres of the history, q: genres of the slate. 0 is perfectly calibrated.",
        "Steck 2018, Calibrated Recommendations, equations 6 and 7",
        "calibration_kl",
    ),
)
PROVIDERS: Final = (
    Method(
        "Exposure per relevance",
        "DTR = (exposure of F / relevance of F) / (exposure of F' / relevance of F')",
        "Exposure in proportion to merit; 1 is parity.",
        "Singh & Joachims 2018, section 4.2 (disparate treatment ratio)",
    ),
    Method(
        "Popularity",
        "ARP = mean popularity of the films of a slate, mean over users;  APLT = share of long-tail films of a slate, "
        "mean over users;  Gini = Σ_i (2i − n − 1) x_i / (n Σ x), x ascending",
        "Coverage: films shown to anybody over all films; tail coverage: the same in the long tail. Each row names its "
        "convention.",
        "Abdollahpouri, Burke & Mobasher 2019; Gini 1912",
    ),
)
INFERENCE: Final = (
    Method(
        "Unit of inference",
        "n = users, or clusters of personas that share a history; never rows",
        "Five films of one user are one observation. Intervals by resampling users are of whole users.",
        "",
    ),
    Method(
        "Interval of a share",
        "(p̂ + z²/2n ± z √(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n)",
        "Wilson's score interval, z the normal quantile of 1 − alpha/2.",
        "Wilson 1927",
    ),
    Method(
        "Interval of a difference of shares",
        "δ = √((p1 − l1)² + (u0 − p0)²),  ε = √((u1 − p1)² + (p0 − l0)²);  (p1 − p0 − δ, p1 − p0 + ε)",
        "l and u are Wilson's limits of each share.",
        "Newcombe 1998, method 10",
    ),
    Method(
        "Interval of a ratio",
        "exp(log(p1/p0) ± z √((1 − p1)/(n1 p1) + (1 − p0)/(n0 p0)))",
        "For means the variances of the means take their places. A zero denominator is not estimable: no number.",
        "Katz et al. 1978",
    ),
    Method(
        "Difference of means",
        "t = (m1 − m0) / √(s1²/n1 + s0²/n0), degrees of freedom by Welch and Satterthwaite",
        "Paired by history where personas share one; by cluster where they are not independent.",
        "Welch 1947",
    ),
    Method(
        "Any difference at all",
        "p = (1 + permutations at least as extreme) / (1 + permutations)",
        "Labels of groups are permuted within clusters.",
        "Phipson & Smyth 2010",
    ),
    Method(
        "Many comparisons",
        "Holm: p(i) adjusted = max over j ≤ i of (m − j + 1) p(j);  Benjamini–Hochberg: min over j ≥ i of m p(j) / j",
        "Holm inside the declared family, so that the chance of any false verdict is at most alpha; Benjamini–Hochberg "
        "outside, where rows have no verdict.",
        "Holm 1979; Benjamini & Hochberg 1995",
    ),
    Method(
        "Impact ratio",
        "selection rate of a category / selection rate of the most selected category",
        "In the bias-audit tables alone; elsewhere the denominator is the named reference.",
        "6 RCNY § 5-300 (Local Law 144 of 2021)",
    ),
    Method(
        "Over markets",
        "RR = Σ_m a_m N0_m / N_m / Σ_m b_m N1_m / N_m;  Q = Σ_m w_m (log RR_m − mean)²",
        "Mantel–Haenszel pools what each market says; Cochran's Q asks whether the markets agree.",
        "Mantel & Haenszel 1959; Greenland & Robins 1985; Cochran 1954",
    ),
    Method(
        "Proxy leak",
        "AUC = P(score of a member > score of a non-member) + P(tie) / 2, over users not fitted on",
        "How well a group can be told from the user vector; 0.5 is chance.",
        "Hanley & McNeil 1982",
    ),
    Method(
        "What a row could have seen",
        "detectable ratio: the ratio that is missed with probability 0.2 at the adjusted level",
        "Whatever lies between it and 1 may be there and was not seen.",
        "",
    ),
)
STANDING_LIMITS: Final = (
    "Parity of what was measured is no proof of fairness: measures that were not declared were not looked at.",
    "A verdict holds for this index version, this catalogue snapshot and this day; any other needs its own audit.",
)
"""What no audit of this kind sees, whatever its plan."""
NOTE: Final = "Every formula is applied to whole users; floats are rounded to ten significant digits at the end."


def methods(plan: AuditPlan) -> dict[str, Any]:
    """Return the formulas a plan's report rests on, and its verdict rule.

    Returns:
        ``rule`` (verdict and its condition), ``formulas`` (``name formula words source``), ``note``.
    """
    chosen = (*(one for one in MEASURES if one.when in plan.measures), *PROVIDERS, *INFERENCE)
    return {
        "rule": _rule(plan),
        "formulas": [
            {"name": one.name, "formula": one.formula, "words": one.words, "source": one.source} for one in chosen
        ],
        "note": NOTE,
    }


def _rule(plan: AuditPlan) -> list[dict[str, str]]:
    low, high = plan.parity
    band = f"{low:g} to {high:g}"
    return [
        {
            "verdict": "disparity",
            "means": f"the adjusted p is below {plan.alpha:g} and the ratio lies outside {band}",
        },
        {
            "verdict": "parity shown",
            "means": f"the whole interval of the ratio lies inside {band}; a difference inside it is parity",
        },
        {
            "verdict": "flagged",
            "means": f"the adjusted p is below {plan.alpha:g} with the ratio inside {band} and its interval reaching "
            f"out, or the ratio lies outside and only the unadjusted p is below {plan.alpha:g}",
        },
        {"verdict": "not enough evidence", "means": "the rest: neither a disparity nor parity could be shown"},
    ]
