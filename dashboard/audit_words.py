"""How the console says what an audit found: axes, measures, groups, figures with their intervals, and verdicts."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from audit import names
from audit import plan as plans
from audit.plan import CROSS
from audit.results import Figure, Verdict
from dashboard.words import count

if TYPE_CHECKING:
    from audit.results import Findings, Interval
    from dashboard.components import Tone

MINUS: Final = "\u2212"
NONE: Final = "–"
_PER_FILM: Final = "exposure_per_film"
MEANINGS: Final = {
    plans.REACH: "Share of users shown at least one film of the film group.",
    plans.EXPOSURE: "The film group's share of a slate; a first place counts more than a last one.",
    plans.PRECISION: "Share of a slate that the user went on to like, of films held back.",
    plans.HIT_RATE: "Share of users with at least one such film in their slate.",
    plans.CALIBRATION: "How far the genres shown are from the genres of the history; 0 is no distance.",
    "exposure_per_relevance": "Exposure of a film group for each unit of what its films are worth to users.",
    "pairwise_accuracy": "How often a relevant film of the group is placed above one that is not.",
    "any_difference": "Whether the groups differ from each other at all, all of them asked at once.",
    _PER_FILM: "Exposure of a film of the group, over that of the mean film: 1 is what every film would have alike.",
}
PANELS: Final = {
    "personas": "Personas: histories alike, attributes swapped",
    "matched": "Personas matched by taste",
    "observed": "Pseudonymous users",
}
_PER_CENT: Final = frozenset({plans.REACH, plans.EXPOSURE, plans.HIT_RATE, "aplt", "coverage", "tail_coverage"})
TONES: "Final[dict[Verdict, Tone]]" = {
    Verdict.DISPARITY: "bad",
    Verdict.FLAGGED: "warn",
    Verdict.UNCLEAR: "info",
    Verdict.PARITY: "good",
}
"""From what matters most to what matters least; the word carries the verdict, the colour only helps."""
_SMALLEST_P: Final = 1e-4
_LARGE: Final = 100


def axis(name: str) -> str:
    """Return an axis, or an intersection of axes, in words.

    Example:
        >>> axis("name_origin × gender")
        'Origin of the name × gender'
    """
    parts = [names.axis(part) for part in name.split(CROSS)]
    return CROSS.join([parts[0], *(part[:1].lower() + part[1:] for part in parts[1:])])


def measure(name: str) -> str:
    """Return a measure in words."""
    return names.measure(name)


def group(name: str) -> str:
    """Return a group as people write it.

    Example:
        >>> group("south_asian × female")
        'south asian × female'
    """
    return name.replace("_", " ")


def scale(figure: Figure) -> str:
    """Return what a figure's values are measured in: on the provider side exposure is a film's, not a slate's share."""
    return _PER_FILM if figure.side == "provider" and figure.measure == plans.EXPOSURE else figure.measure


def unit(value: float | None, of: str) -> str:
    """Return a value in the unit of its measure.

    Example:
        >>> unit(0.314, "reach"), unit(0.07213, "precision_at_k"), unit(None, "reach")
        ('31.4 %', '0.0721', '–')
    """
    if value is None:
        return NONE
    if of in _PER_CENT:
        return _minus(f"{100 * value:.1f} %")
    return _minus(f"{value:,.1f}" if abs(value) >= _LARGE else f"{value:.4f}")


def ends(interval: "Interval | None", of: str) -> str:
    """Return an interval in the unit of its measure."""
    if interval is None:
        return NONE
    low, high = (unit(end, of) for end in interval)
    return f"{low.removesuffix(' %')} to {high}"


def bounded(value: float | None, interval: "Interval | None", of: str) -> str:
    """Return a value with its interval."""
    if value is None or interval is None:
        return unit(value, of)
    return f"{unit(value, of)} ({ends(interval, of)})"


def ratio(value: float | None, interval: "Interval | None" = None) -> str:
    """Return a ratio with its interval.

    Example:
        >>> ratio(0.5512, (0.42, 0.7)), ratio(None)
        ('0.55 (0.42 to 0.70)', '–')
    """
    if value is None:
        return NONE
    return _minus(f"{value:.2f}" if interval is None else f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})")


def change(value: float | None, interval: "Interval | None", of: str) -> str:
    """Return a difference with its sign and interval."""
    if value is None:
        return NONE
    sign = "+" if value > 0 else ""
    return sign + bounded(value, interval, of)


def p_value(value: float | None) -> str:
    """Return a p-value; a very small one is said to be so.

    Example:
        >>> p_value(0.0312), p_value(1e-9), p_value(None)
        ('0.031', '< 0.0001', '–')
    """
    if value is None:
        return NONE
    return f"< {_SMALLEST_P:.4f}" if value < _SMALLEST_P else f"{value:.2g}" if value < 1 else "1"


def number(value: int | None) -> str:
    """Return a count; a withheld one is said to be so."""
    return "withheld" if value is None else f"{value:,}"


def moment(at: str | None) -> str:
    """Return a moment of the ledger to the minute.

    Example:
        >>> moment("2026-05-01T12:34:56.789+00:00"), moment(None)
        ('2026-05-01 12:34', 'not in this ledger')
    """
    return "not in this ledger" if at is None else at[:16].replace("T", " ")


def place(figure: Figure) -> str:
    """Return what a figure is about, to be told from the others of its report.

    Example:
        >>> place(Figure(measure="reach", side="user", axis="gender", group="female", reference="male",
        ...              film_axis="cast_origin", film_group="south_asian"))
        'Reached by the films (origin of the cast south asian): female against male'
    """
    films = f" ({axis(figure.film_axis).lower()} {group(figure.film_group)})" if figure.film_axis else ""
    return f"{measure(figure.measure)}{films}: {group(figure.group)} against {group(figure.reference)}"


def verdicts(figures: Sequence[Figure]) -> dict[Verdict, int]:
    """Return how many figures there are of each verdict, the gravest first."""
    counted = Counter(one.verdict for one in figures)
    return {verdict: counted[verdict] for verdict in TONES}


def outcome(findings: "Findings") -> "tuple[str, Tone]":
    """Return what an audit says, in a few words."""
    found, failed = len(findings.disparities), [one for one in findings.swaps if not one.passed]
    if found or failed:
        said = [count(found, "disparity", "disparities")] if found else []
        said += [f"{names.listing([axis(one.attribute).lower() for one in failed])} changed lists"] if failed else []
        return "; ".join(said) + " found" if found and not failed else "; ".join(said), "bad"
    counts = verdicts(findings.figures)
    if counts[Verdict.FLAGGED]:
        return f"no disparity, {count(counts[Verdict.FLAGGED], 'figure')} flagged", "warn"
    if counts[Verdict.UNCLEAR]:
        return f"no disparity found, {counts[Verdict.UNCLEAR]:,} without enough evidence", "info"
    return ("parity shown", "good") if counts[Verdict.PARITY] else ("nothing could be judged", "info")


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
