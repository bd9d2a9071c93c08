"""The page of an evidence pack: readable on any screen and on paper, with the document inside and no link outside."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

_STYLE: Final = """
:root{color-scheme:light dark;--ink:#1b1f24;--muted:#57606a;--paper:#fff;--raised:#f4f6f8;--line:#d0d7de;
--good:#116329;--bad:#a40e26;--grey:#6e7781}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--muted:#9da7b1;--paper:#0d1117;--raised:#161b22;--line:#30363d;
--good:#56d364;--bad:#ff7b72;--grey:#8b949e}}
*{box-sizing:border-box}body{margin:0 auto;max-width:64rem;padding:1.5rem;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:2rem 0 .5rem}
.muted{color:var(--muted)}.verdict{border:2px solid var(--ink);border-radius:.5rem;padding:1rem;margin:1rem 0}
.verdict strong{font-size:1.25rem}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}caption{text-align:left;
color:var(--muted);padding:.3rem 0}pre,code{font:0.8rem/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
pre{background:var(--raised);padding:.75rem;overflow-x:auto;white-space:pre-wrap}svg{max-width:100%;height:auto}
svg text{fill:var(--ink);font:13px system-ui,sans-serif}
@media print{body{max-width:none;padding:0}details>*{display:block}.verdict,svg,tr{break-inside:avoid}}
"""
_COLOURS: Final = {"better": "good", "non_inferior": "good", "worse": "bad", "harmed": "bad"}
_WORDS: Final = {
    "better": "better",
    "worse": "worse",
    "unclear": "inconclusive",
    "non_inferior": "within its margin",
    "harmed": "harmed",
    "not_estimable": "not estimable",
}
_WIDTH, _LEFT, _RIGHT, _ROW, _TOP = 760, 260, 700, 30, 20
_MOST: Final = 1.0


def page(document: Mapping[str, Any], text: str) -> str:
    """Return the page.

    Args:
        document: The evidence pack.
        text: The same as canonical JSON, which is put inside.
    """
    # A closing tag in a text of the document must not end the element.
    embedded = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    title = f"Evidence: {document['experiment']} as of {document['as_of']}"
    parts = [
        _head(document, title),
        _verdict(document),
        _metrics(document),
        _looks(document),
        _health(document),
        _plan(document),
        _sums(document),
        _hashes(document),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main>{''.join(parts)}</main>"
        f'<script type="application/json" id="recommendr-evidence">{embedded}</script></body></html>\n'
    )


def _head(document: Mapping[str, Any], title: str) -> str:
    plan = document["plan"]
    return f'<h1>{escape(title)}</h1><p class="muted">{escape(plan["hypothesis"])} Owner: {escape(plan["owner"])}.</p>'


def _verdict(document: Mapping[str, Any]) -> str:
    told = document["verdict"]
    return (
        f'<section class="verdict"><strong>{escape(told["decision"])}</strong><p>{escape(told["reason"])}</p>'
        f'<p class="muted">What would change this: {escape(told["what_would_change"])}</p></section>'
    )


def _metrics(document: Mapping[str, Any]) -> str:
    rows = document["scorecard"]["metrics"]
    names = ("Metric", "As", "Variant", "Users", "Control", "Variant's", "Change", "95 % interval", "p", "adjusted p",
             "Says")  # fmt: skip
    cells = [
        (row["title"], row["kind"], row["variant"], _count(row["n"]), _figure(row["mean_control"]),
         _figure(row["mean_variant"]), _percent(row["rel"]), _interval(row["rel_ci95"]), _p(row["p"]),
         _p(row["p_adjusted"]), _WORDS[row["status"]] + (f": {row['reason']}" if row["reason"] else ""))
        for row in rows
    ]  # fmt: skip
    totals = [
        (row["title"], row["variant"], *(_count(row["totals"][name]) for name in _TOTALS))
        for row in rows
        if row["totals"]
    ]
    sides = ("Above, control", "Below, control", "Above, variant", "Below, variant")
    caption = "Sums over all users of an arm, nothing adjusted"
    raw = _table(("Metric", "Variant", *sides), totals, numbers=4, caption=caption)
    table = _table(names, cells, numbers=(3, 4, 5, 6, 7, 8, 9), caption="Variant against control")
    return f"<h2>Metrics</h2>{_forest(rows)}{table}{raw}"


_TOTALS: Final = ("numerator_control", "denominator_control", "numerator_variant", "denominator_variant")


def _forest(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the relative changes and their intervals as a drawing."""
    shown = [row for row in rows if row["rel"] is not None]
    if not shown:
        return '<p class="muted">Nothing is estimable yet.</p>'
    ends = [abs(end) for row in shown for end in (row["rel"], *(row["rel_ci95"] or ())) if end is not None]
    reach = min(max([*ends, 0.01]) * 1.05, _MOST)

    def place(value: float) -> float:
        inside = max(-reach, min(reach, value))
        return float(round(_LEFT + (inside + reach) / (2 * reach) * (_RIGHT - _LEFT), 1))

    height = _TOP + _ROW * len(shown) + 30
    drawn = [f'<line x1="{place(0)}" x2="{place(0)}" y1="{_TOP - 8}" y2="{height - 26}" stroke="var(--ink)"/>']
    for at, row in enumerate(shown):
        y = _TOP + _ROW * at + _ROW // 2
        colour = f"var(--{_COLOURS.get(row['status'], 'grey')})"
        low, high = row["rel_ci95"] or (None, None)
        left, right = place(-reach if low is None else low), place(reach if high is None else high)
        label = f"{row['title']} ({row['variant']})"
        drawn.append(f'<text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(label[:38])}</text>')
        drawn.append(f'<line x1="{left}" x2="{right}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="3"/>')
        drawn.append(f'<circle cx="{place(row["rel"])}" cy="{y}" r="5" fill="{colour}"/>')
        drawn += _margin(row, place, y)
    for tick in (-reach, 0.0, reach):
        drawn.append(f'<text x="{place(tick)}" y="{height - 8}" text-anchor="middle">{_percent(tick)}</text>')
    alt = "; ".join(f"{row['title']} {_percent(row['rel'])} [{_interval(row['rel_ci95'])}]" for row in shown)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape("Relative changes: " + alt)}">'
        f"{''.join(drawn)}</svg>"
    )


def _margin(row: Mapping[str, Any], place: Callable[[float], float], y: int) -> list[str]:
    if row["margin_rel"] is None:
        return []
    at = place(row["margin_rel"] if row["better"] == "down" else -row["margin_rel"])
    line = f'<line x1="{at}" x2="{at}" y1="{y - 10}" y2="{y + 10}" stroke="var(--bad)" stroke-width="2"'
    return [f'{line} stroke-dasharray="3 3"/>']


def _looks(document: Mapping[str, Any]) -> str:
    rows = [
        (str(one["look"]), one["date"], f"{one['boundary']:.3f}", _p(one["level"]), one["decision"], one["reason"])
        for one in document["verdict"]["looks"]
    ]
    if not rows:
        return "<h2>Planned looks</h2><p>None has been yet.</p>"
    caption = "The first look that ships or rolls back decides, and stays"
    table = _table(("Look", "Day", "|z| needed", "as p", "Decides", "Why"), rows, numbers=(2, 3), caption=caption)
    return f"<h2>Planned looks</h2>{table}"


def _health(document: Mapping[str, Any]) -> str:
    rows = [
        (one["check"].replace("_", " "), one["level"], one["message"], one["blind_to"])
        for one in document["scorecard"]["health"]["findings"]
    ]
    return "<h2>Health</h2>" + _table(("Check", "State", "Found", "Could not have seen"), rows)


def _plan(document: Mapping[str, Any]) -> str:
    plan = document["plan"]
    rows = [(name.replace("_", " "), str(value)) for name, value in plan["rule"].items()]
    rows += [("variants", ", ".join(f"{one['name']} (weight {one['weight']:g})" for one in plan["variants"]))]
    rows += [
        (f"{one['metric']}", one["kind"] + (f", margin {one['margin_rel']:.0%}" if one["kind"] == "guardrail" else ""))
        for one in plan["metrics"]
    ]
    return "<h2>The rule, frozen at launch</h2>" + _table(("What", "As planned"), rows)


def _sums(document: Mapping[str, Any]) -> str:
    out = []
    for day, sums in document["sums"].items():
        if sums is None:
            out.append(f"<p>{escape(day)}: nobody had been exposed.</p>")
            continue
        cells = sums["counted"]["cells"]
        names = [*cells["keys"], "users", *(f"mean {name}" for name in cells["columns"])]
        rows = [
            (*(values[at] for values in cells["keys"].values()), _count(n), *(_figure(mean) for mean in means))
            for at, (n, means) in enumerate(zip(cells["n"], cells["means"], strict=True))
        ]
        table = _table(names, rows, numbers=tuple(range(len(cells["keys"]), len(names))))
        out.append(f"<details><summary>Sums as of {escape(day)}</summary>{table}</details>")
    sql = "".join(f"<pre>{escape(one)}</pre>" for one in document["scorecard"]["sql"])
    left_out = ", ".join(
        f"{name.replace('_', ' ')} {count:,}" for name, count in document["scorecard"]["left_out"].items()
    )
    return (
        f"<h2>The sums</h2><p>Left out: {escape(left_out or 'nobody')}.</p>{''.join(out)}"
        f"<details><summary>Statements they came from</summary>{sql}</details>"
    )


def _hashes(document: Mapping[str, Any]) -> str:
    rows = [("sha256 of the pack", document["sha256"]), ("plan", document["plan_digest"])]
    rows += [("ledger when it was made", document["ledger_head"] or "not told")]
    rows += [(name, one) for name, one in document["sections"].items()]
    rows += [(name, one) for name, one in document["software"].items()]
    again = "recommendr experiment recompute FILE.html"
    return (
        "<h2>Judge again</h2><p>The document is inside this page; this gives the same verdict without any of our data:"
        f"</p><pre>{again}</pre>" + _table(("What", "SHA-256 or version"), [(a, str(b)) for a, b in rows])
    )


def _table(
    names: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: int | Sequence[int] = (), caption: str = ""
) -> str:
    width = len(names)
    right = set(range(width - numbers, width)) if isinstance(numbers, int) else set(numbers)

    def line(tag: str, cells: Sequence[str]) -> str:
        scope = " scope=col" if tag == "th" else ""
        made = (
            f"<{tag}{' class=n' if at in right else ''}{scope}>{escape(str(cell))}</{tag}>"
            for at, cell in enumerate(cells)
        )
        return f"<tr>{''.join(made)}</tr>"

    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table>{told}<thead>{line("th", names)}</thead><tbody>{body}</tbody></table></div>'


def _figure(value: float | None) -> str:
    # Not estimable is a dash, never a 0.
    return "–" if value is None else f"{value:.5g}"


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"


def _percent(value: float | None) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:+.2f} %"


def _interval(ends: Sequence[float | None] | None) -> str:
    return "–" if ends is None else " to ".join("no bound" if end is None else _percent(end) for end in ends)


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
