"""The bias-audit tables in the shape that New York City's Local Law 144 asks for.

The law is about hiring; its table is a good one for any selection: category, applicants, selected, selection rate, and
the impact ratio, which is the rate over that of the most selected category. Here the applicants of a user axis are
users, and "selected" means reached by a film group, or given at least one film held back. On the provider side the
applicants are films, and the rate is a category's mean exposure over that of the highest (the law's own scoring rate is
the share above the median, which says little where most films are shown to nobody).

Source: 6 RCNY § 5-300 (impact ratio, selection rate, scoring rate) and § 5-301 (b)–(d): categories, intersections,
the number of unknown, and categories below 2 %, which may be left out of the ratios but must be named with counts.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from audit.results import Figure, Findings, GroupCount, Verdict

UNKNOWN: Final = "unknown"
SELECTING: Final = ("hit_rate", "reach")
"""Measures that are a share of users: their rate is a selection rate."""
SCORING: Final = ("exposure_per_relevance", "exposure")
Key = tuple[str, str, str, str, str]


def bias_tables(findings: Findings) -> list[dict[str, Any]]:
    """Return one table for each axis and measure that selects or scores.

    Returns:
        ``side axis measure film_axis film_group kind most_selected unknown rows``; a row is ``category applicants
        selected rate impact_ratio note``. A rate that is withheld or not estimable is None, and the note says why.
    """
    tables = []
    for key, figures in _grouped(findings.figures).items():
        side, measure, axis, film_axis, film_group = key
        counts = [one for one in findings.counts if one.side == side and one.axis == axis]
        rows = _rows(figures, counts, selecting=measure in SELECTING)
        highest = _most_selected(rows)
        tables.append(
            {
                "side": side,
                "axis": axis,
                "measure": measure,
                "film_axis": film_axis,
                "film_group": film_group,
                "kind": "selection" if measure in SELECTING else "scoring",
                "most_selected": highest["category"] if highest else "",
                "unknown": next((one.n for one in counts if one.group == UNKNOWN), 0),
                "adverse": any(one.verdict is Verdict.DISPARITY for one in figures),
                "rows": [_rated(row, highest) for row in rows],
            }
        )
    return tables


def _grouped(figures: Iterable[Figure]) -> dict[Key, list[Figure]]:
    out: dict[Key, list[Figure]] = {}
    for one in figures:
        wanted = SELECTING if one.side == "user" else SCORING
        if one.measure in wanted:
            out.setdefault((one.side, one.measure, one.axis, one.film_axis, one.film_group), []).append(one)
    return out


def _rows(figures: Sequence[Figure], counts: Sequence[GroupCount], *, selecting: bool) -> list[dict[str, Any]]:
    """One row a category: those compared, the reference they were held against, and those too small to be judged."""
    rows: dict[str, dict[str, Any]] = {}
    small = {one.group: one for one in counts if not one.judged}
    for one in figures:
        rows.setdefault(one.reference, _row(one.reference, one.n_reference, one.value_reference, "", selecting))
        rows[one.group] = _row(one.group, one.n, one.value, one.reason if one.value is None else "", selecting)
    for group, counted in small.items():
        if group != UNKNOWN:
            row = rows.setdefault(group, _row(group, counted.n, None, "", selecting))
            row["note"] = counted.reason or "too small to be judged"
            row["excluded"] = True
    rows.pop("", None)
    return [rows[name] for name in sorted(rows)]


def _row(category: str, n: int | None, rate: float | None, note: str, selecting: bool) -> dict[str, Any]:
    # The rate is rounded to ten digits, so that the product is the count again.
    selected = round(rate * n) if selecting and rate is not None and n is not None else None
    return {
        "category": category,
        "applicants": n,
        "selected": selected,
        "rate": rate,
        "impact_ratio": None,
        "note": note,
        "excluded": False,
    }


def _most_selected(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    rated = [row for row in rows if row["rate"] is not None and not row["excluded"]]
    return max(rated, key=lambda row: row["rate"], default=None)


def _rated(row: dict[str, Any], highest: Mapping[str, Any] | None) -> dict[str, Any]:
    out = dict(row)
    if highest is None or row["rate"] is None or row["excluded"]:
        return out
    if highest["rate"] <= 0:
        return {**out, "note": "not estimable: nobody was selected in any category"}
    return {**out, "impact_ratio": float(f"{row['rate'] / highest['rate']:.10g}")}
