"""Comparisons of a variant with control, from moments alone."""

from collections.abc import Sequence

from experiments.contrast import Method, contrast
from experiments.estimates import Estimate, Question, Side
from experiments.moments import Moments
from experiments.skew import skew_warning

__all__ = ["Estimate", "Method", "Moments", "Side", "cuped", "ratio", "skew_warning", "stratified", "welch"]


def welch(
    control: Moments, variant: Moments, *, alpha: float = 0.05, margin: float = 0.0, side: Side = "two"
) -> Estimate:
    """Compare the means of column 0 by Welch's t test.

    diff = x̄ᵥ − x̄꜀, se² = s²ᵥ/nᵥ + s²꜀/n꜀, df = se⁴ / Σ (s²/n)²/(n − 1).

    Source: Welch (1947), The generalization of Student's problem, Biometrika 34:28; Satterthwaite (1946), An
    approximate distribution of estimates of variance components, Biometrics Bulletin 2:110.

    Args:
        control: Moments of control's users.
        variant: Moments of the variant's users.
        alpha: Error the intervals allow.
        margin: Difference to test against, in the metric's unit. "No worse than 0.01 below" is ``margin=-0.01,
            side="greater"``.
        side: ``two``; ``greater`` asks whether diff > margin, ``less`` whether diff < margin.

    Raises:
        NotEstimableError: With fewer than two users in an arm, or without variance in both.

    Example:
        >>> control, variant = Moments.from_values([1, 2, 3, 4]), Moments.from_values([3, 4, 5, 8])
        >>> found = welch(control, variant)
        >>> found.diff, round(found.df, 3), round(found.p, 4)
        (2.5, 4.9, 0.1048)
    """
    return contrast([control], [variant], "mean", "welch", Question(alpha=alpha, margin=margin, side=side))


def ratio(
    control: Moments, variant: Moments, *, alpha: float = 0.05, margin: float = 0.0, side: Side = "two"
) -> Estimate:
    """Compare Σx / Σy, column 0 over column 1, by the delta method on users.

    R = x̄/ȳ; a user's linearised value is (x − R·y)/ȳ, and its variance is R's times n.

    Source: Deng, Knoblich & Lu (2018), Applying the delta method in metric analytics, KDD, §3.1; df as in `welch`,
    of the linearised values.

    Args:
        control: Moments of numerator and denominator.
        variant: The same of the variant.
        alpha: As in `welch`.
        margin: As in `welch`.
        side: As in `welch`.

    Raises:
        NotEstimableError: As `welch`, and when a denominator sums to 0.
    """
    return contrast([control], [variant], "ratio", "ratio", Question(alpha=alpha, margin=margin, side=side))


def cuped(
    control: Moments, variant: Moments, *, alpha: float = 0.05, margin: float = 0.0, side: Side = "two"
) -> Estimate:
    """Compare means or ratios adjusted by the same users' values from before the experiment.

    Ȳ_adj = Ȳ − θ (X̄ − X̄_pooled) with one θ = cov(Y, X)/var(X) of all users of both arms; with four columns Y and X
    are the linearised ratios 0/1 and 2/3. Where X has no variance, or its denominator no sum, there is nothing to
    adjust by: the figure is the raw one and ``method`` says so.

    Source: Deng, Xu, Kohavi & Walker (2013), Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data, WSDM, §3.2 and appendix A (ratios).

    Args:
        control: Two columns (outcome, covariate) or four (numerator, denominator, and their covariates).
        variant: The same of the variant.
        alpha: As in `welch`.
        margin: As in `welch`.
        side: As in `welch`.

    Raises:
        NotEstimableError: As `ratio`.
    """
    return contrast([control], [variant], "cuped", "cuped", Question(alpha=alpha, margin=margin, side=side))


def stratified(
    controls: Sequence[Moments],
    variants: Sequence[Moments],
    *,
    method: Method = "mean",
    alpha: float = 0.05,
    margin: float = 0.0,
    side: Side = "two",
) -> Estimate:
    """Compare arms whose split differs by stratum, as it does when assignment is by region.

    Each arm's means are weighted by the strata's shares W of all users: z̄ = Σ W_s z̄_s. A mean is then Σ W_s x̄_s and
    its difference Σ W_s (x̄ᵥ_s − x̄꜀_s). A ratio is Σ W_s x̄_s / Σ W_s ȳ_s, the *combined* ratio: what all users would
    give under one arm, which is also what the unstratified ratio estimates. (The mean of the strata's ratios is
    another quantity as soon as the variant moves denominators.) CUPED takes one θ, of the deviations inside strata.
    The shares count as given, so a difference between strata adds no variance; df by Satterthwaite over all cells.

    Source: Miratrix, Sekhon & Yu (2013), Adjusting treatment effect estimates by post-stratification in randomized
    experiments, J. Royal Statistical Society B 75:369, eq. 3; Cochran (1977), Sampling Techniques, §6.11.

    Args:
        controls: Control's moments, one a stratum.
        variants: The variant's, in the same order.
        method: ``mean``, ``ratio`` or ``cuped``, on the columns that `welch`, `ratio` and `cuped` take.
        alpha: As in `welch`.
        margin: As in `welch`.
        side: As in `welch`.

    Raises:
        NotEstimableError: As the method, and naming the first stratum (from 0) with fewer than two users in an arm:
            leaving it out is the caller's decision, for it changes whom the figure is about.
    """
    question = Question(alpha=alpha, margin=margin, side=side)
    return contrast(controls, variants, method, f"stratified {method}", question)
