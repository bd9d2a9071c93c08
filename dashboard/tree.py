"""A tree of figures as nested lists: each node with its figure, its course and what feeds it."""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.components import Tone, code, show, sparkline, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One node and what is below it.

    Args:
        title: What it is.
        link: Address that explains it; empty where no page does.
        state: Its state in a word or two.
        tone: Whether that is good.
        figure: Its value, as text.
        interval: The interval of that, as text.
        target: What it should be, as text.
        trend: What became of it, as text.
        course: Its values, oldest first; None where there was none.
        remark: One sentence below it.
        feeds: Headings and what stands under them, for example the risks.
        children: Nodes below.
    """

    title: str
    state: str
    tone: Tone
    link: str = ""
    figure: str = ""
    interval: str = ""
    target: str = ""
    trend: str = ""
    course: tuple[float | None, ...] = ()
    remark: str = ""
    feeds: tuple[tuple[str, tuple[str, ...]], ...] = ()
    children: tuple["Branch", ...] = ()


def draw(branches: Sequence[Branch], *, label: str) -> None:
    """Draw a tree.

    Args:
        branches: The nodes on top.
        label: What the tree is, for whoever can't see it.
    """
    show(f'<div class="rr-tree" role="group" aria-label="{html.escape(label)}">{_level(branches)}</div>')


def _level(branches: Sequence[Branch]) -> str:
    return f"<ul>{''.join(_node(branch) for branch in branches)}</ul>" if branches else ""


def _node(branch: Branch) -> str:
    title = text(branch.title)
    named = f'<a href="{branch.link}" target="_self">{title}</a>' if branch.link else title
    figure = f'<span class="rr-node-figure">{text(branch.figure)}</span>' if branch.figure else ""
    facts = " · ".join(text(fact) for fact in (branch.interval, branch.target, branch.trend) if fact)
    state = f'<span class="rr-pill {branch.tone}">{text(branch.state)}</span>'
    parts = [
        f'<div class="rr-node-head"><span class="rr-node-title">{named}</span>{state}</div>',
        f'<div class="rr-node-body">{figure}<span class="rr-meta">{facts}</span>{sparkline(branch.course)}</div>',
    ]
    if branch.remark:
        parts.append(f'<p class="rr-meta">{code(branch.remark)}</p>')
    feeds = "".join(_feed(heading, lines) for heading, lines in branch.feeds if lines)
    if feeds:
        parts.append(f'<p class="rr-meta rr-feeds">{feeds}</p>')
    return f'<li><div class="rr-node {branch.tone}">{"".join(parts)}</div>{_level(branch.children)}</li>'


def _feed(heading: str, lines: Sequence[str]) -> str:
    told = "; ".join(text(line) for line in lines)
    return f'<span class="rr-feed"><span class="rr-eyebrow">{text(heading)}</span> {told}</span> '
