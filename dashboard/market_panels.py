"""The parts of *Markets*: the markets side by side, one index or several, and what recommendations cost."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from dashboard import components
from dashboard.goal_panels import figure
from dashboard.loaders import markets as loaders
from dashboard.tabs import draw_open

if TYPE_CHECKING:
    from dashboard.components import Tone
    from monitoring.findings import Interval
    from monitoring.market_study import MarketFit
    from monitoring.markets import MarketRow
    from monitoring.measures import Reading

_TITLES: Final = {
    "precision_at_5": "precision@5, online",
    "ctr": "CTR",
    "focus_s": "Focus, s",
    "thumbs_down_rate": "Thumbs-down",
    "refresh_rate": "Refreshes",
    "interactions_a_day": "Interactions a day",
    "sentiment": "Positive answers",
}
_LEVEL: Final = 0.05


def side_by_side() -> None:
    """Draw every market with its figures, and how its precision differs from the others'."""
    kept = loaders.markets()
    components.last_good(kept)
    rows = kept.value
    if not rows:
        components.banner("No market has telemetry yet.")
        return
    span = f"{rows[0].start} to {rows[0].end}"
    components.table(
        ("Market", "Accounts", *_TITLES.values()),
        [_market(row) for row in rows],
        caption=f"{span}; below each figure its 95 % interval, by accounts",
        numeric=("Accounts", *_TITLES.values()),
    )
    components.table(
        ("Market", "precision@5 less that of the others", "95 % interval", "p, adjusted", "Verdict"),
        [_difference(row) for row in rows],
        caption="Each market against all others together; Welch's test on accounts, adjusted for the number of markets",
        numeric=("precision@5 less that of the others", "95 % interval", "p, adjusted"),
    )
    for row in rows:
        for name, reading in row.figures.items():
            if reading.value is None and reading.note:
                said = f"{row.market}, {_TITLES[name]}: {reading.note}"
                components.show(f'<p class="rr-muted">{components.text(said)}</p>')


def _market(row: "MarketRow") -> Sequence[object]:
    users = "–" if row.users is None else f"{row.users:,}"
    return (row.market, users, *(_cell(row.figures.get(name)) for name in _TITLES))


def _cell(reading: "Reading | None") -> str:
    if reading is None or reading.value is None:
        return "–"
    told = figure(reading.value, reading.unit)
    if reading.low is None or reading.high is None:
        return told
    return f"{told} ({figure(reading.low, reading.unit)} to {figure(reading.high, reading.unit)})"


def _difference(row: "MarketRow") -> Sequence[object]:
    if row.difference is None or row.p_value is None:
        return (row.market, "–", "–", "–", "not estimable")
    verdict: tuple[str, Tone] = ("as the others", "info")
    if row.p_value <= _LEVEL:
        verdict = ("better", "good") if row.difference.value > 0 else ("worse", "warn")
    return (
        row.market, points(row.difference.value), bounds(row.difference), f"{row.p_value:.3g}",
        components.pill(*verdict),
    )  # fmt: skip


def points(value: float) -> str:
    """Return a difference of precision with its sign."""
    return f"{value:+.4f}".replace("-", "\u2212")


def bounds(interval: "Interval") -> str:
    """Return the interval of a difference of precision."""
    if interval.low is None or interval.high is None:
        return "–"
    return f"{points(interval.low)} to {points(interval.high)}"


def one_or_several() -> None:
    """Show what weights of its own would bring each market, and what a second index would cost."""
    found = loaders.study()
    if found is None:
        components.banner(
            "The markets have not been studied yet.",
            "Weights are fitted for every market and for all together, and judged on users neither has seen.",
            command="recommendr monitor markets --study",
        )
        return
    prices = loaders.prices()
    components.banner("What follows", found.recommendation(prices))
    components.table(
        ("Market", "Users", "General weights", "Its own", "Difference", "95 % interval", "p, adjusted", "Verdict"),
        [_fit(one) for one in found.markets],
        caption=f"precision@5 on held-back films of users of each market; index {found.index_version}, "
        f"{found.folds} folds, {found.studied_at:%Y-%m-%d}",
        numeric=("Users", "General weights", "Its own", "Difference", "95 % interval", "p, adjusted"),
    )
    second = found.second_index
    money = second.money(prices)
    components.stats(
        [
            ("A second index in memory", f"{second.size_mib:,.1f} MiB", f"{second.films:,} films"),
            ("Each build", f"{second.build_s:,.1f} s", "of processor time, text vectors reused"),
            ("In four weeks", f"{money:,.4f} {prices.currency}", "for keeping it in memory"),
        ]
    )


def _fit(one: "MarketFit") -> Sequence[object]:
    if one.difference is None or one.general is None or one.own is None:
        users = "–" if one.users is None else f"{one.users:,}"
        return (one.market, users, "–", "–", "–", "–", "–", one.note or "not estimable")
    better: tuple[str, Tone] = ("gains", "good") if one.is_better else ("no gain beyond chance", "info")
    return (
        one.market, f"{one.users:,}" if one.users else "–", f"{one.general:.4f}", f"{one.own:.4f}",
        points(one.difference.value), bounds(one.difference), "–" if one.p_value is None else f"{one.p_value:.3g}",
        components.pill(*better),
    )  # fmt: skip


def cost() -> None:
    """Show what recommendations cost by index version, as measured."""
    found, prices = loaders.costs(), loaders.prices()
    if not found:
        components.banner(
            "Nothing has been measured yet.", "A measurement asks for some hundred slates.",
            command="recommendr monitor cost --measure",
        )  # fmt: skip
        return
    rows = []
    for one in found:
        money = one.money_per_1000(prices)
        low, high = one.cpu_ms.low, one.cpu_ms.high
        bounded = "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
        rows.append(
            (one.index_version, f"{one.measured_at:%Y-%m-%d %H:%M}", f"{one.requests:,}",
             f"{one.cpu_ms.value:.1f}{bounded}", f"{one.wall_ms:.1f}",
             f"{one.memory_mib:,.0f}", f"{one.index_mib:,.1f}", f"{money.value:.5f} {prices.currency}")
        )  # fmt: skip
    columns = ("Index version", "Measured (UTC)", "Requests", "CPU s per 1,000", "Median wait, ms",
               "Memory, MiB", "Index, MiB", "Money per 1,000")  # fmt: skip
    components.table(columns, rows, caption="Measured on this machine, the newest first", numeric=columns[2:])
    components.show(
        '<p class="rr-muted">Prices are list prices until the workspace has its own '
        "<code>monitoring/prices.toml</code>.</p>"
    )


PANELS: Final[dict[str, Callable[[], None]]] = {
    "Side by side": side_by_side,
    "One index or several": one_or_several,
    "Cost": cost,
}


def draw() -> None:
    """Draw the tabs, and only the open one's panel."""
    draw_open(PANELS)
