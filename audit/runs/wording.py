"""Rows as sentences: what was compared, how large it is, how sure that is, and what could have been missed."""

from typing import Final

from audit import names
from audit.plan import CALIBRATION, EXPOSURE, HIT_RATE, PRECISION, REACH
from audit.results import Figure, Interval

_MEASURES: Final = {
    REACH: "were shown a film of",
    EXPOSURE: "share of the exposure in their lists of",
    PRECISION: "share of the shown films that had been kept back as liked",
    HIT_RATE: "got at least one film that had been kept back as liked",
    CALIBRATION: "divergence of the genres shown from those of the history",
}
_SHARES: Final = (REACH, EXPOSURE, PRECISION, HIT_RATE)
_PROVIDER: Final = {
    "exposure": "exposure of a film, over that of the mean film",
    "exposure_per_relevance": "exposure for each user who would like the film",
    "pairwise_accuracy": "chance that a film its user would like is ranked above one not known to be liked",
}


def sentence(figure: Figure) -> str:
    """Return a figure as a sentence for somebody who reads no table."""
    what = _what(figure)
    units = "films" if figure.side == "provider" else "users"
    group = names.group(figure.group)
    group += f" ({figure.n:,} {units})" if figure.n is not None else " (number withheld)"
    if figure.value is None:
        return f"{what}, {names.inside(figure.axis)} {group}: {figure.reason or 'withheld'}."
    told = f"{what}, {names.inside(figure.axis)} {group}: {_number(figure, figure.value)}"
    if figure.interval:
        told += f" ({_span(figure, figure.interval)})"
    if figure.group == figure.reference:
        return f"{told}. It is the reference the others are held against."
    if figure.value_reference is not None:
        told += f"; {names.group(figure.reference)}: {_number(figure, figure.value_reference)}"
    if figure.ratio is None:
        return f"{told}. {_capital(figure.reason)}."
    told += f". Ratio {figure.ratio:.3f}"
    if figure.ratio_interval:
        told += f" ({figure.ratio_interval[0]:.3f} to {figure.ratio_interval[1]:.3f})"
    if figure.p_adjusted is not None:
        told += f", adjusted p {figure.p_adjusted:.2g}"
    verdict = f": {figure.verdict}" if figure.verdict else ""
    reason = f" ({figure.reason})" if figure.reason else ""
    return f"{told}{verdict}{reason}.{_gap(figure)}{_missed(figure)}"


def _what(figure: Figure) -> str:
    if figure.side == "provider":
        return _capital(_PROVIDER.get(figure.measure, figure.measure))
    label = _MEASURES.get(figure.measure, figure.measure)
    if figure.measure in {REACH, EXPOSURE}:
        label = f"{label} {names.inside(figure.film_axis)} {names.group(figure.film_group)}"
    return _capital(label if figure.measure not in {REACH, HIT_RATE} else f"share of users who {label}")


def _number(figure: Figure, value: float) -> str:
    if figure.side == "user" and figure.measure in _SHARES:
        return f"{value:.1%}"
    return f"{value:.3g}"


def _span(figure: Figure, interval: Interval) -> str:
    return f"{_number(figure, interval[0])} to {_number(figure, interval[1])}"


def _gap(figure: Figure) -> str:
    if figure.gap is None or figure.history_share is None:
        return ""
    return f" In their histories it is {figure.history_share:.1%}: the lists give {figure.gap * 100:+.1f} points."


def _missed(figure: Figure) -> str:
    if figure.ratio is None:
        return ""
    if figure.detectable_ratio is None:
        return " No ratio on this side would have been seen reliably."
    return f" A ratio between 1 and {figure.detectable_ratio:.2f} would have been missed more than one time in five."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
