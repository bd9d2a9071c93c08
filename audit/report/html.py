"""A report as one HTML page that stands alone: no script, nothing fetched, fit for a screen and for paper.

It is drawn from the document alone, never from a workspace. Whatever came from outside (titles, names, notes) is
escaped twice over: markup by Jinja, control and bidirectional characters by `visible`.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError
from markupsafe import Markup

from audit import names
from workspace.errors import SchemaError
from workspace.printable import printable

Row = Mapping[str, Any]

TEMPLATES: Final = Path(__file__).parent / "templates"
MARKS: Final = {"disparity": "■", "parity shown": "●", "flagged": "▲", "not enough evidence": "○"}
"""Beside every verdict's words, so that a glance finds it without colour."""
RANKS: Final = {"disparity": 0, "flagged": 1, "not enough evidence": 2, "parity shown": 3, None: 4}
MOST_ON_PAPER: Final = 120
MOST_ON_SCREEN: Final = 5_000
MOST_TABLES: Final = 60
MOST_TABLES_ON_PAPER: Final = 12
MOST_POOLED: Final = 300
MOST_POOLED_ON_PAPER: Final = 30
MOST_PLAIN: Final = 200
MOST_PLAIN_ON_PAPER: Final = 30
_EXAMPLE: Final = ("persona", "other", "films_before", "films_after", "block")
_WHOLE_FROM: Final = 1_000
_WIDTH: Final = 120
_CLIP: Final = 2.0


def html(document: Mapping[str, Any], *, paper: bool = False) -> str:
    """Return a report as a whole page.

    Args:
        document: As `audit.report.document.build_document` returns it.
        paper: Whether it is to be typeset: the appendix then holds fewer rows, and says how many are left out.

    Raises:
        SchemaError: When the document lacks what a report must hold.
    """
    content = document["content"]
    try:
        template = _environment().get_template("report.html")
        return template.render(document=document, content=content, paper=paper, **_view(content, paper=paper))
    except (UndefinedError, KeyError, TypeError, AttributeError) as error:
        raise SchemaError(f"the report can't be drawn: {error}", "must be whole", "run the audit again") from error


def visible(value: Any) -> Any:  # noqa: ANN401 - whatever a template prints
    r"""Show what could reorder or hide text as its escape; the rest as it is.

    Example:
        >>> visible("Alien\u202egnp")
        'Alien\\u202egnp'
    """
    if value is None:
        return ""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return printable(value)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "axis": names.axis,
        "group": names.group,
        "block": names.block,
        "measure": names.measure,
        "number": number,
        "interval": interval,
        "count": count,
        "p": probability,
        "verdict": verdict,
        "whisker": whisker,
        "sentence": names.sentence,
        "missed": missed,
        "slug": slug,
        "in_order": in_order,
    }
    return environment


def _view(content: Mapping[str, Any], *, paper: bool) -> dict[str, Any]:
    """Arrange rows for reading: by axis, what stands out first, the whole in the appendix."""
    # A reference held against itself is no comparison; its value stands beside every other group's.
    figures: Sequence[Row] = [row for row in content["figures"] if row["reference"] not in (row["group"], "")]
    whole: Sequence[Row] = [row for row in content["figures"] if not row["reference"]]
    users = [row for row in figures if row["side"] == "user"]
    providers = [row for row in figures if row["side"] == "provider"]
    appendix = sorted(figures, key=_rank)
    most = MOST_ON_PAPER if paper else MOST_ON_SCREEN
    most_tables = MOST_TABLES_ON_PAPER if paper else MOST_TABLES
    most_pooled = MOST_POOLED_ON_PAPER if paper else MOST_POOLED
    most_plain = MOST_PLAIN_ON_PAPER if paper else MOST_PLAIN
    pooled = sorted(
        content["pooled"], key=lambda row: 1.0 if row["heterogeneity_p"] is None else row["heterogeneity_p"]
    )
    tables = sorted(content["bias_tables"], key=lambda one: (not one["adverse"], bool(one["film_axis"])))
    return {
        "axes": [_axis(axis, users, whole, most_plain) for axis in content["plan"]["axes"]],
        "film_axes": [_axis(axis, providers, (), most_plain) for axis in content["plan"]["film_axes"]],
        "appendix": appendix[:most],
        "left_out": max(0, len(appendix) - most),
        "tables": tables[:most_tables],
        "tables_left_out": max(0, len(tables) - most_tables),
        "pooled": pooled[:most_pooled],
        "pooled_left_out": max(0, len(pooled) - most_pooled),
        "marks": MARKS,
        "k": content["plan"]["k"],
    }


def _axis(axis: str, figures: Iterable[Row], whole: Iterable[Row], most: int) -> dict[str, Any]:
    rows = [row for row in figures if row["axis"] == axis]
    standing = [row for row in rows if row["verdict"] in ("disparity", "flagged")]
    # Without a film group there are few: they are shown whole, whatever they say.
    plain = sorted((row for row in rows if not row["film_axis"] and row not in standing), key=_rank)
    rest = [row for row in rows if row["film_axis"] and row not in standing]
    return {
        "axis": axis,
        "standing": sorted(standing, key=_rank),
        "plain": plain[:most],
        "plain_left_out": max(0, len(plain) - most),
        "whole": [row for row in whole if row["axis"] == axis],
        "summed": [_summed(key, part) for key, part in _parts(rest).items()],
    }


def _parts(rows: Iterable[Row]) -> dict[tuple[str, str], list[Row]]:
    out: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        out.setdefault((row["measure"], row["film_axis"]), []).append(row)
    return out


def _summed(key: tuple[str, str], rows: Sequence[Row]) -> dict[str, Any]:
    ratios = [row["ratio"] for row in rows if row["ratio"] is not None]
    missed_ = [row["detectable_ratio"] for row in rows if row["detectable_ratio"]]
    said = Counter(row["verdict"] or "no verdict" for row in rows)
    return {
        "measure": key[0],
        "film_axis": key[1],
        "comparisons": len(rows),
        "verdicts": [(name, said[name]) for name in (*MARKS, "no verdict") if said[name]],
        "lowest": min(ratios, default=None),
        "highest": max(ratios, default=None),
        "missed": max(missed_, key=lambda ratio: abs(math.log(ratio)), default=None),
    }


def _rank(row: Row) -> tuple[int, float]:
    ratio = row["ratio"]
    return (RANKS.get(row["verdict"], 4), -abs(math.log(ratio)) if ratio is not None and ratio > 0 else 0.0)


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure to some significant digits; what is not known is a dash.

    Example:
        >>> number(0.123456), number(12.0), number(None)
        ('0.123', '12', '–')
    """
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if value != 0 and abs(value) < 10 ** -(digits + 1):
        return f"{value:.1e}"
    text = f"{value:,.{digits if abs(value) < _WHOLE_FROM else 0}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def interval(pair: Sequence[float] | None, digits: int = 3) -> str:
    """Return an interval as two figures.

    Example:
        >>> interval([0.8, 1.25]), interval(None)
        ('0.8 to 1.25', '–')
    """
    return "–" if pair is None else f"{number(pair[0], digits)} to {number(pair[1], digits)}"


def count(value: int | None) -> str:
    """Return a count; None is one that is withheld for privacy."""
    return names.WITHHELD if value is None else f"{value:,}"


def probability(value: float | None) -> str:
    """Return a p-value as it is written.

    Example:
        >>> probability(0.00004), probability(0.0412)
        ('< 0.001', '0.041')
    """
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"  # noqa: PLR2004


def verdict(row: Row) -> str:
    """Return what a figure says, mark and words; without a verdict, why it has none."""
    said = row["verdict"]
    if said is None:
        return f"no verdict: {row['reason'] or 'outside the declared family'}"
    return f"{MARKS[said]} {said}"


def missed(ratio: float | None) -> str:
    """Return the disparity a row could have missed, both ways, as a ratio and its inverse."""
    if ratio is None or ratio <= 0:
        return "–"
    low, high = sorted((ratio, 1 / ratio))
    return f"{number(low, 2)} or {number(high, 2)}"


def in_order(example: Mapping[str, Any]) -> list[str]:
    """Return the fields of an example as a reader wants them: who, what, why. JSON sorts them by name."""
    return sorted(example, key=lambda name: (_EXAMPLE.index(name) if name in _EXAMPLE else len(_EXAMPLE), name))


def slug(text: str) -> str:
    """Return a name that an anchor can bear."""
    return "".join(character if character.isascii() and character.isalnum() else "-" for character in text.casefold())


def whisker(row: Row, parity: Sequence[float]) -> Markup:
    """Draw a ratio's interval on a logarithmic scale from 1/2 to 2, the band of parity behind it; for the eye alone."""
    if row["ratio"] is None or row["ratio"] <= 0:
        return Markup("")
    low, high = row["ratio_interval"] or (row["ratio"], row["ratio"])
    left, right = _place(parity[0]), _place(parity[1])
    shape = (
        f'<svg class="whisker" viewBox="0 0 {_WIDTH} 14" width="{_WIDTH}" height="14" aria-hidden="true">'
        f'<rect x="{left}" y="0" width="{right - left:.1f}" height="14" fill="#d9e6ee"/>'
        f'<line x1="{_place(1)}" x2="{_place(1)}" y1="0" y2="14" stroke="#777" stroke-width="1"/>'
        f'<line x1="{_place(low)}" x2="{_place(high)}" y1="7" y2="7" stroke="#1a1a1a" stroke-width="1.6"/>'
        f'<circle cx="{_place(row["ratio"])}" cy="7" r="3" fill="#1a1a1a"/></svg>'
    )
    # Numbers alone went into it.
    return Markup(shape)  # noqa: S704


def _place(ratio: float) -> float:
    at = math.log2(ratio) if ratio > 0 else -_CLIP
    return round((min(1.0, max(-1.0, at)) + 1) / 2 * (_WIDTH - 8) + 4, 1)
