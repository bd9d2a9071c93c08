"""Command line of the generator: ``python -m data.synthetic make-benchmark | stream | measure``."""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from data.synthetic.benchmark import BENCHMARK, compare_benchmark, make_benchmark
from data.synthetic.oracle import measure
from data.synthetic.spec import WorldSpec
from data.synthetic.streaming import stream
from data.synthetic.world import generate
from workspace.errors import RecommendrError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m data.synthetic", description="Make synthetic worlds.")
    commands = parser.add_subparsers(dest="command", required=True)
    benchmark = commands.add_parser("make-benchmark", help="write the committed benchmark, or check it")
    benchmark.add_argument("--folder", type=Path, default=BENCHMARK)
    benchmark.add_argument("--check", action="store_true", help="make it anew and compare byte by byte; change nothing")
    for name, text in (("stream", "write a world of any size to a folder"), ("measure", "say how hard a world is")):
        command = commands.add_parser(name, help=text)
        command.add_argument("--films", type=int, default=2_000)
        command.add_argument("--users", type=int, default=1_000)
        command.add_argument("--seed", type=int, default=20_251_027)
        command.add_argument(
            "--end", type=date.fromisoformat, default=None, help="last day, YYYY-MM-DD (default: today)"
        )
        if name == "stream":
            command.add_argument("folder", type=Path)
    return parser


def _spec(options: argparse.Namespace) -> WorldSpec:
    sizes = {"films": options.films, "users": options.users, "seed": options.seed}
    return WorldSpec(**sizes) if options.end is None else WorldSpec(**sizes, end=options.end)


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def _progress(done: int, total: int) -> None:
    sys.stderr.write(f"\r{done:,} of {total:,} users" + ("\n" if done == total else ""))


def _run(options: argparse.Namespace) -> int:
    if options.command == "make-benchmark" and options.check:
        differences = compare_benchmark(options.folder)
        _say({"identical": not differences, "differences": differences})
        return 1 if differences else 0
    if options.command == "make-benchmark":
        _say(make_benchmark(options.folder).model_dump())
    elif options.command == "stream":
        _say(stream(_spec(options), options.folder, _progress).to_dict())
    else:
        _say(measure(generate(_spec(options))).to_dict())
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code: 0 done, 1 the benchmark differs, 2 the request was wrong."""
    try:
        return _run(_parser().parse_args(arguments))
    except RecommendrError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
