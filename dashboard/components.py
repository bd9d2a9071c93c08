"""What the pages are made of. Everything that comes from data passes through `text`: shown as text, never as markup."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, urlencode

import streamlit as st

from dashboard import words
from dashboard.theme import style_sheet
from workspace.errors import RecommendrError

if TYPE_CHECKING:  # a page that draws no film need not open the recommender
    from dashboard.freshness import Kept
    from dashboard.loaders.recommendations import FilmCard
    from recommender.rules import FunnelStep

Tone = Literal["info", "good", "warn", "bad"]

_BIDI: Final = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")
_SPACE: Final = re.compile(r"[ \t\r\n]+")
_LONG_CHARACTERS: Final = 40
_CODE: Final = re.compile(r"`([^`<>]+)`")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_SYNOPSIS_CHARACTERS: Final = 150
_MINUS: Final = "\u2212"
_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~$:^=&])")


def plain(value: object) -> str:
    r"""Return a value as harmless text: one line, direction marks gone, control characters made visible.

    Example:
        >>> plain("a\x07\u202eb")
        'a�b'
    """
    return _CONTROL.sub("\ufffd", _SPACE.sub(" ", _BIDI.sub("", str(value)))).strip()


def text(value: object) -> str:
    """Return a value as HTML that shows it literally and keeps its direction to itself.

    Example:
        >>> text("<b>Up</b>")
        '<bdi>&lt;b&gt;Up&lt;/b&gt;</bdi>'
    """
    return f"<bdi>{html.escape(plain(value))}</bdi>"


def code(value: object) -> str:
    """Return a sentence as HTML in which what stands between back quotes is set as code."""
    return _CODE.sub(r"<code>\1</code>", text(value))


def literal(value: object) -> str:
    """Return a value for the few places of Streamlit that read Markdown, with every mark escaped."""
    return _MARKDOWN.sub(r"\\\1", plain(value))


def link(page: str, /, **query: object) -> str:
    """Return a page's address with its state, ready for an ``href``."""
    given = {name: str(value) for name, value in query.items() if value not in (None, "")}
    return html.escape(f"{page}?{urlencode(given)}" if given else page)


def signed(value: float) -> str:
    """Return a contribution with its sign, a true minus."""
    return f"{value:+.4f}".replace("-", _MINUS)


def excerpt(value: str) -> str:
    """Return the beginning of a text, cut between words."""
    shown = plain(value)
    if len(shown) <= _SYNOPSIS_CHARACTERS:
        return shown
    return shown[:_SYNOPSIS_CHARACTERS].rsplit(" ", 1)[0].rstrip(",;:. ") + "\u2026"


def show(body: str) -> None:
    """Put HTML made by this module on the page."""
    st.html(f'<div class="rr">{body}</div>')


def heading(title: str, lede: str = "") -> None:
    """Open a page: its style, title and one sentence."""
    st.html(style_sheet())
    st.title(title, anchor=False)
    if lede:
        show(f'<p class="rr-lede">{html.escape(lede)}</p>')


def named_heading(kind: str, name: str) -> None:
    """Open a page about one thing whose name comes from data."""
    st.html(style_sheet())
    show(f'<p class="rr-eyebrow">{html.escape(kind)}</p><h1 class="rr-name">{text(name)}</h1>')


def banner(title: str, body: str = "", *, tone: Tone = "info", command: str = "") -> None:
    """Say what state something is in, and what to do about it."""
    role = "alert" if tone == "bad" else "status"
    parts = [f"<strong>{text(title)}</strong>"]
    if body:
        parts.append(f"<p>{code(body)}</p>")
    if command:
        parts.append(f'<code class="rr-command">{text(command)}</code>')
    show(f'<div class="rr-banner {tone}" role="{role}">{"".join(parts)}</div>')


def error(problem: RecommendrError) -> None:
    """Show an error as what, limit and hint."""
    what = plain(problem.what).rstrip(".")
    title = f"{what}: {problem.limit}" if problem.limit else what
    hint = problem.hint[:1].upper() + problem.hint[1:] if problem.hint else ""
    command = re.search(r"`(recommendr [^`]+)`", problem.hint)
    banner(title[:1].upper() + title[1:], hint, tone="bad", command=command.group(1) if command else "")


@contextmanager
def guarded() -> Iterator[None]:
    """Show the project's own errors where they happen; the rest of the page goes on."""
    try:
        yield
    except RecommendrError as problem:
        error(problem)


def film_cards(cards: "Sequence[FilmCard]", query: Mapping[str, object]) -> None:
    """Draw films side by side; ``query`` is the state a film's link keeps."""
    show(f'<ol class="rr-cards" aria-label="Recommended films">{"".join(_card(card, query) for card in cards)}</ol>')


def _card(card: "FilmCard", query: Mapping[str, object]) -> str:
    reasons = "".join(
        f'<li><span>{text(reason)}</span><span class="rr-num {_tone(value)}">{signed(value)}</span></li>'
        for reason, value in card.reasons
    )
    tags = "".join(f'<span class="rr-tag">{text(genre)}</span>' for genre in card.genres[:4])
    facts = " \u00b7 ".join(text(fact) for fact in card.facts)
    address = link("film", film=card.film_id, **query)
    return (
        f'<li class="rr-card" data-film="{html.escape(plain(card.film_id))}"><div class="rr-card-top">'
        f'<div class="rr-card-line"><span class="rr-rank">{card.rank}</span>'
        f'<span class="rr-meta rr-num">score {card.score:.4f}</span></div>'
        f'<h2 class="rr-title"><a href="{address}" target="_self">{text(card.title)}</a></h2>'
        f'<div class="rr-meta">{facts}</div><div class="rr-tags">{tags}</div></div>'
        f'<p class="rr-synopsis">{text(excerpt(card.synopsis) or "No synopsis.")}</p>'
        f'<div class="rr-why"><span class="rr-eyebrow">Why</span><ul>{reasons}</ul></div></li>'
    )


def _tone(value: float) -> str:
    return "rr-loss" if value < 0 else "rr-gain"


def waterfall(terms: Sequence[tuple[str, float]], total: float, *, caption: str, total_label: str = "Score") -> None:
    """Draw contributions that add up to a total, each bar beginning where the last one ended."""
    ends, at = [0.0], 0.0
    for _, value in terms:
        at += value
        ends.append(at)
    low, high = min(ends), max([*ends, total])
    width = (high - low) or 1.0
    zero = 100 * -low / width
    rows = [
        _bar_row(
            label, value, start=100 * (min(before, after) - low) / width, length=100 * abs(value) / width, zero=zero
        )
        for (label, value), before, after in zip(terms, ends, ends[1:], strict=False)
    ]
    rows.append(
        _bar_row(total_label, total, start=100 * (min(0.0, total) - low) / width, length=100 * abs(total) / width,
                 zero=zero, total=True)
    )  # fmt: skip
    head = (
        '<th scope="col">Part</th><th scope="col" class="n">Adds</th><th scope="col" class="rr-wide">Running sum</th>'
    )
    _table(f"<tr>{head}</tr>", "".join(rows), caption)


def _bar_row(label: str, value: float, *, start: float, length: float, zero: float, total: bool = False) -> str:
    kind = "total" if total else "loss" if value < 0 else "gain"
    number = f"{value:.4f}".replace("-", _MINUS) if total else signed(value)
    return (
        f'<tr{" class=total" if total else ""}><th scope="row">{text(label)}</th>'
        f'<td class="n {"" if total else _tone(value)}">{number}</td>'
        f'<td class="rr-wide"><div class="rr-track" style="--zero:{zero:.2f}%"><div class="rr-bar {kind}" '
        f'style="left:{start:.2f}%;width:{length:.2f}%"></div></div></td></tr>'
    )


def funnel(steps: "Iterable[FunnelStep]") -> None:
    """Draw how many films each rule left over."""
    drawn = list(steps)
    most = max((step.remaining for step in drawn), default=0) or 1
    rows = "".join(
        f'<tr><th scope="row">{text(words.rule(step.rule))}</th><td class="n">{step.remaining:,}</td>'
        f'<td class="n">{_removed(step.removed)}</td>'
        f'<td class="rr-wide"><div class="rr-track"><div class="rr-bar gain" '
        f'style="left:0;width:{100 * step.remaining / most:.2f}%"></div></div></td>'
        f"<td>{'may be relaxed' if step.relaxable else 'never relaxed'}</td></tr>"
        for step in drawn
    )
    head = (
        '<th scope="col">A film must be</th><th scope="col" class="n">Left</th><th scope="col" class="n">Removed</th>'
        '<th scope="col" class="rr-wide">Share left</th><th scope="col">Rule</th>'
    )
    _table(f"<tr>{head}</tr>", rows, "Films left after each rule, in the order the rules are applied")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stretch within a whole.

    Args:
        label: What it is.
        depth: Inside how many others it lies.
        start_pct: Where it begins, in per cent of the whole.
        length_pct: How long it is, likewise.
        told: Its length, as text.
        own: What of it is its own, as text.
        remark: Anything else.
        failed: Whether it went wrong.
    """

    label: str
    depth: int
    start_pct: float
    length_pct: float
    told: str
    own: str
    remark: str
    failed: bool


def spans(shown: Sequence[Span], *, caption: str) -> None:
    """Draw stretches below each other, each where it lies within the whole."""
    rows = "".join(_span(one) for one in shown)
    head = (
        '<th scope="col">Service</th><th scope="col" class="n">Took, ms</th><th scope="col" class="n">Itself, ms</th>'
        '<th scope="col" class="rr-wide">When</th><th scope="col">Status</th>'
    )
    _table(f"<tr>{head}</tr>", rows, caption)


def _span(one: Span) -> str:
    start = min(max(one.start_pct, 0.0), 100.0)
    length = min(max(one.length_pct, 0.0), 100.0 - start)
    indent = f"padding-left:{one.depth * 1.1:.1f}em"
    return (
        f'<tr><th scope="row"><span class="rr-hop" style="{indent}">{text(one.label)}</span></th>'
        f'<td class="n">{text(one.told)}</td><td class="n">{text(one.own)}</td>'
        f'<td class="rr-wide"><div class="rr-track"><div class="rr-bar {"loss" if one.failed else "gain"}" '
        f'style="left:{start:.2f}%;width:{length:.2f}%"></div></div></td><td>{text(one.remark)}</td></tr>'
    )


def _removed(number: int) -> str:
    return f"{_MINUS}{number:,}" if number else "–"


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    caption: str,
    numeric: Sequence[str] = (),
    tight: Sequence[str] = (),
    total: Sequence[object] = (),
) -> None:
    """Draw a small table.

    Args:
        columns: Their names; the first one names the row.
        rows: Cells; what `anchor`, `pill` and `amount` return is HTML already, all else is shown as text.
        caption: What the table says, also for whoever can't see it.
        numeric: Columns set flush right.
        tight: Columns that never break a line.
        total: A last row that sums up.
    """
    kinds = ["n" if column in numeric else "tight" if column in tight else "" for column in columns]
    head = "".join(
        f'<th scope="col" class="{kind}">{text(name)}</th>' for name, kind in zip(columns, kinds, strict=True)
    )
    body = "".join(_row(row, kinds) for row in rows) + (_row(total, kinds, "total") if total else "")
    _table(f"<tr>{head}</tr>", body, caption)


def _row(row: Sequence[object], kinds: Sequence[str], name: str = "") -> str:
    cells = [value.markup if isinstance(value, Markup) else text(value) for value in row]
    first = f'<th scope="row" class="{kinds[0]}">{cells[0]}</th>'
    long = ["long" if len(str(value)) > _LONG_CHARACTERS and not isinstance(value, Markup) else "" for value in row]
    rest = "".join(
        f'<td class="{kind or wide}">{cell}</td>'
        for cell, kind, wide in zip(cells[1:], kinds[1:], long[1:], strict=True)
    )
    return f'<tr class="{name}">{first}{rest}</tr>'


def _table(head: str, body: str, caption: str) -> None:
    named = html.escape(plain(caption))
    show(
        f'<div class="rr-scroll" tabindex="0" role="region" aria-label="{named}"><table class="rr-table">'
        f"<caption>{named}</caption><thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


class Markup:
    """HTML made by this module, to be told from text that came from data."""

    def __init__(self, markup: str) -> None:
        self.markup = markup


def anchor(label: object, page: str, /, **query: object) -> Markup:
    """Return a link to a page's state for a cell."""
    return Markup(f'<a href="{link(page, **query)}" target="_self">{text(label)}</a>')


def amount(value: float) -> Markup:
    """Return a signed contribution for a cell."""
    return Markup(f'<span class="{_tone(value)}">{signed(value)}</span>')


def pill(label: object, tone: Tone) -> Markup:
    """Return a state for a cell; the word carries it, the colour only helps."""
    return Markup(f'<span class="rr-pill {tone}">{text(label)}</span>')


def stats(values: Sequence[tuple[str, str, str]]) -> None:
    """Draw figures: label, value, remark."""
    cells = "".join(
        f'<div class="rr-stat"><dt>{text(label)}</dt><dd>{text(value)}'
        f"{f'<small>{text(remark)}</small>' if remark else ''}</dd></div>"
        for label, value, remark in values
    )
    show(f'<dl class="rr-stats">{cells}</dl>')


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One figure with its course.

    Args:
        label: What it is.
        value: The figure, as text.
        interval: Its interval, as text.
        change: What became of it since the period before, as text.
        tone: Whether that is good.
        course: The values of the period, oldest first; None where there was none.
        link: Address and state that show more.
    """

    label: str
    value: str
    interval: str
    change: str
    tone: Tone
    course: tuple[float | None, ...]
    link: str = ""


def tiles(shown: Sequence[Tile]) -> None:
    """Draw figures side by side, each with its change and its course."""
    show(f'<ul class="rr-tiles">{"".join(_tile(tile) for tile in shown)}</ul>')


def _tile(tile: Tile) -> str:
    label = text(tile.label)
    named = f'<a href="{tile.link}" target="_self">{label}</a>' if tile.link else label
    return (
        f'<li class="rr-tile"><span class="rr-eyebrow">{named}</span><span class="rr-figure">{text(tile.value)}</span>'
        f'<span class="rr-meta">{text(tile.interval)}</span>{sparkline(tile.course)}'
        f'<span class="rr-pill {tile.tone}">{text(tile.change)}</span></li>'
    )


def sparkline(course: Sequence[float | None]) -> str:
    """Return a line without axes; the figure and the change beside it say what it shows."""
    known = [value for value in course if value is not None]
    if len(known) < 2:  # noqa: PLR2004 - a line needs two points
        return ""
    low, high = min(known), max(known)
    height = (high - low) or 1.0
    pieces: list[list[str]] = [[]]
    for at, value in enumerate(course):
        if value is None:  # a day without a figure is a gap, never a zero
            pieces.append([])
        else:
            pieces[-1].append(f"{100 * at / (len(course) - 1):.1f},{22 - 20 * (value - low) / height:.1f}")
    lines = "".join(
        f"<polyline points='{' '.join(piece)}' vector-effect='non-scaling-stroke'/>" for piece in pieces if piece
    )
    drawing = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 100 24' preserveAspectRatio='none' fill='none' "
        f"stroke='#000' stroke-width='1.6'>{lines}</svg>"
    )
    # As a mask, since Streamlit takes drawings out of HTML; so the line has the colour of the mode.
    return f'<div class="rr-spark" style="--course:url(data:image/svg+xml,{quote(drawing)})"></div>'


def last_good(kept: "Kept[Any]") -> None:
    """Say that what is shown is not of this moment, and why."""
    if kept.problem is not None:
        problem = kept.problem
        banner(
            f"Shown as of {kept.at:%Y-%m-%d %H:%M:%S} UTC: {plain(problem.what).rstrip('.')}.",
            problem.hint[:1].upper() + problem.hint[1:],
            tone="warn",
        )
