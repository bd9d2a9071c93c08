"""`recommendr experiment compare` and `power`: somebody else's A/B data in one line, and the size of the next one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer
from workspace.errors import InvalidValueError
from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the group of experiments."""
    app.command()(compare)
    app.command()(power)


def compare(  # noqa: PLR0913 - a flag each
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet, one row a unit.")],
    *,
    variant_col: Annotated[str, typer.Option("--variant-col", metavar="C", help="Column of the arm.")],
    control: Annotated[str, typer.Option("--control", metavar="A", help="The arm the others are held against.")],
    metric: Annotated[list[str], typer.Option("--metric", metavar="M", help="Column to compare; may be repeated.")],
    denominator: Annotated[
        str | None, typer.Option("--denominator", metavar="D", help="Compare the ratio of sums M / D.")
    ] = None,
    covariate: Annotated[
        str | None, typer.Option("--covariate", metavar="X", help="Adjust by this value from before the start.")
    ] = None,
    covariate_denominator: Annotated[
        str | None, typer.Option("--covariate-denominator", metavar="Y", help="Of a ratio: the covariate is X / Y.")
    ] = None,
    region_col: Annotated[
        str | None, typer.Option("--region-col", metavar="R", help="Stratify by this column.")
    ] = None,
    unit_col: Annotated[
        str | None, typer.Option("--unit-col", metavar="U", help="Leave out units that are in two arms.")
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option("--weights", metavar="W,W", help="Intended shares, control first then by name; or A=W,B=W."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Compare the arms of any file of one row a unit; needs no workspace."""
    from experiments.comparison import MetricColumns
    from experiments.comparison import compare as compare_file

    found = compare_file(
        file,
        variant_col=variant_col,
        control=control,
        metrics=[
            MetricColumns(
                metric=one,
                denominator=denominator,
                covariate=covariate,
                covariate_denominator=covariate_denominator,
            )
            for one in dict.fromkeys(metric)
        ],
        region_col=region_col,
        unit_col=unit_col,
        weights=None if weights is None else _weights(weights),
    )
    answer(found.to_dict(), _comparison, as_json=as_json)


def power(
    baseline_mean: Annotated[float, typer.Option("--baseline-mean", help="Mean of control.")],
    baseline_sd: Annotated[float, typer.Option("--baseline-sd", help="Standard deviation of a user's value.")],
    mde_rel: Annotated[float, typer.Option("--mde-rel", help="Relative change to be found, 0.05 for 5 %.")],
    alpha: Annotated[float, typer.Option("--alpha", help="Two-sided error.")] = 0.05,
    wanted: Annotated[float, typer.Option("--power", help="Probability that the change is found.")] = 0.80,
    ratio: Annotated[float, typer.Option("--ratio", help="Users in the variant for each one in control.")] = 1.0,
    as_json: options.Json = False,
) -> None:
    """Say how many users an experiment needs; needs no workspace."""
    from experiments.power import sample_size

    sizes = sample_size(
        baseline_mean=baseline_mean, baseline_sd=baseline_sd, mde_rel=mde_rel, ratio=ratio, alpha=alpha, power=wanted
    )
    document = {
        "baseline_mean": baseline_mean,
        "baseline_sd": baseline_sd,
        "mde_rel": mde_rel,
        "ratio": ratio,
        "alpha": alpha,
        "power": wanted,
        "n_control": sizes.n_control,
        "n_variant": sizes.n_variant,
        "n": sizes.total,
    }
    answer(document, _sizes, as_json=as_json)


def _weights(text: str) -> dict[str, float] | list[float]:
    """Read ``0.5,0.5`` or ``A=0.5,B=0.5``."""
    parts = [part.strip() for part in text.split(",")]
    named = [part.rpartition("=") for part in parts]
    if all(sign for _, sign, _ in named):
        if len({name for name, _, _ in named}) < len(named):
            raise InvalidValueError(f"--weights == {text!r}", "must name each arm once", "write it as A=0.5,B=0.5")
        return {name.strip(): _number(value, text) for name, _, value in named}
    return [_number(part, text) for part in parts]


def _number(part: str, text: str) -> float:
    try:
        return float(part)
    except ValueError as error:
        hint = "write it as 0.5,0.5 or as A=0.5,B=0.5"
        raise InvalidValueError(f"--weights == {text!r}", "must be numbers", hint) from error


def _comparison(document: Document) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    names = ("metric", "arm", "n", "control", "variant", "Δ", "95 %", "Δ %", "95 % of Δ %", "p", "p Holm", "method")
    for name in names:
        table.add_column(name, justify="left" if name in {"metric", "arm", "method"} else "right", overflow="fold")
    for one in document["metrics"]:
        ratio = f" / {one['denominator']}" if one["denominator"] else ""
        cells = [
            one["name"] + ratio, one["variant"], f"{one['n']:,}", _figure(one["mean_control"]),
            _figure(one["mean_variant"]), _figure(one["diff"]), _interval(one["ci95"]), _percent(one["rel"]),
            _interval(one["rel_ci95"], percent=True), _p(one["p"]), _p(one["p_adjusted"]), one["method"] or "-",
        ]  # fmt: skip
        style = "dim" if one["beside"] else ""
        table.add_row(*(Text(printable(cell), style=style) for cell in cells))
    srm = document["srm"]
    lines: list[RenderableType] = []
    if srm is not None:
        lines.append(Text(printable(srm["sentence"]), style="green" if srm["ok"] else "bold red"))
    else:
        lines.append(Text(f"The split is not checked: {document['srm_reason']}.", style="dim"))
    lines.append(table)
    told = [f"{one['name']}, {one['variant']}: {one[key]}" for one in document["metrics"]
            for key in ("reason", "warning") if one[key]]  # fmt: skip
    told += [f"Left out: {rows:,} rows, {reason}." for reason, rows in document["left_out"].items()]
    lines += [Text(printable(text), style="yellow") for text in dict.fromkeys(told)]
    return Group(*lines)


def _sizes(document: Document) -> "RenderableType":
    from dashboard.cli import rendering

    return rendering.facts(
        {
            "users in control": f"{document['n_control']:,}",
            "users in variant": f"{document['n_variant']:,}",
            "in all": f"{document['n']:,}",
            "finds a relative change of": f"{document['mde_rel']:+.2%}",
            "with power": f"{document['power']:.0%}",
            "at two-sided error": f"{document['alpha']:g}",
        }
    )


def _interval(bounds: Any, *, percent: bool = False) -> str:  # noqa: ANN401 - two numbers, each or both may be None
    if bounds is None:
        return "-"
    low, high = ((_percent(bound) if percent else _figure(bound)) for bound in bounds)
    return f"{low} to {high}"


def _figure(value: float | None) -> str:
    # Not estimable is a dash, never a 0.
    return "-" if value is None else f"{value:.5g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.2f}"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
