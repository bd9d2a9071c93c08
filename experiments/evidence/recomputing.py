"""Judging again from an evidence pack: no warehouse, no store, only the file."""

import datetime as dt
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import rfc8785

from experiments.counted import KeptSums, cells_from_dict
from experiments.evidence.packing import FORMAT, HASH, SECTIONS, digest, plain, sections, software
from experiments.plan import ExperimentPlan, read_plan
from experiments.scorecard import Scorecard, score
from experiments.sums import Request
from experiments.verdict import Verdict, judge, looks_due
from workspace.errors import IntegrityError, InvalidValueError, SchemaError

EMBEDDED: Final = re.compile(
    r'<script type="application/json" id="recommendr-evidence">(?P<json>.*?)</script>', re.DOTALL
)
_TOLERANCE: Final = 1e-6
"""Figures of another machine may differ by its last digits; those of other sums differ by more."""
_FIGURES: Final = ("n", "mean_control", "mean_variant", "diff", "se", "p", "p_adjusted", "rel", "status")
_JUDGED: Final = ("decision", "ground", "variant", "look", "plan_digest", "as_of")
_WORDS: Final = ("reason", "what_would_change")
_LARGEST_BYTES: Final = 256 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Recomputed:
    """A pack judged again: its hashes hold, and its sums give the verdict it tells.

    Args:
        sha256: Hash over the whole pack.
        ledger_head: Last hash of the ledger when it was packed.
        software: What had computed it.
    """

    scorecard: Scorecard
    verdict: Verdict
    sha256: str
    ledger_head: str
    software: Mapping[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data with the keys of ``experiment analyse``, then what was checked."""
        return {
            **self.scorecard.to_dict(),
            "verdict": self.verdict.to_dict(),
            "sha256": self.sha256,
            "ledger_head": self.ledger_head,
            "software": dict(self.software),
            "same": True,
        }


def recompute(source: Mapping[str, Any] | Path) -> Recomputed:
    """Judge again from the sums of a pack, by the rule that is in it.

    Args:
        source: The document, or its file: JSON, or the HTML page it is inside.

    Raises:
        SchemaError: When it is no evidence pack.
        IntegrityError: When a hash does not hold, or the sums do not give what the pack tells; naming what differs.
    """
    document = read_pack(source) if isinstance(source, Path) else source
    _check_hashes(document)
    plan = _plan(document)
    as_of = _day(document, "as_of")
    stopped = None if document.get("stopped") is None else _day(document, "stopped")
    cards = {date: _card(plan, document, date) for _, date in looks_due(plan, as_of)}
    current = cards.get(as_of) or _card(plan, document, as_of)
    verdict = judge(plan, [cards[date] for _, date in looks_due(plan, as_of)], current, stopped=stopped)
    _check_same(document, current, verdict)
    return Recomputed(
        scorecard=current,
        verdict=verdict,
        sha256=str(document[HASH]),
        ledger_head=str(document.get("ledger_head", "")),
        software={str(name): str(value) for name, value in document.get("software", {}).items()},
    )


def read_pack(path: Path) -> dict[str, Any]:
    """Return the document of a pack's file, JSON or HTML.

    Raises:
        SchemaError: When the file can't be read or is no evidence pack.
    """
    hint = "pass the .json or .html of `recommendr experiment evidence`"
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise SchemaError(f"{path} is larger than any evidence pack", hint=hint)
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path} can't be read: {error}", hint=hint) from error
    if not text.lstrip().startswith("{"):
        found = EMBEDDED.search(text)
        if found is None:
            raise SchemaError(f"{path} is no evidence pack", hint=hint)
        text = found["json"]
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise SchemaError(f"{path} is no evidence pack: {error}", hint=hint) from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SchemaError(f"{path} is no evidence pack of format {FORMAT}", hint=hint)
    return document


def _check_hashes(document: Mapping[str, Any]) -> None:
    if document.get("format") != FORMAT or HASH not in document:
        raise SchemaError(f"no evidence pack of format {FORMAT}", hint="pass the document of an evidence pack")
    try:
        whole = digest({name: value for name, value in document.items() if name != HASH})
        now = sections(document)
    except rfc8785.CanonicalizationError as error:
        raise IntegrityError(f"the pack holds what canonical JSON can't: {error}", hint="ask for it again") from error
    told = document.get(SECTIONS)
    then = told if isinstance(told, Mapping) else {}
    wrong = sorted(name for name in {*now, *then} if now.get(name) != then.get(name))
    if wrong or whole != document[HASH]:
        raise IntegrityError(
            f"the evidence pack was changed: {', '.join(wrong) or 'its hashes'} differs",
            "and nothing in it can be relied on",
            "ask for the pack again and compare its SHA-256",
        )


def _plan(document: Mapping[str, Any]) -> ExperimentPlan:
    try:
        plan = read_plan(document.get("plan"))
    except InvalidValueError as error:
        raise IntegrityError(f"the plan of the pack can't be read: {error}") from error
    if plan.digest != document.get("plan_digest"):
        raise IntegrityError(
            "the plan of the pack is not what its digest says", "and no verdict may rest on it", "ask for it again"
        )
    return plan


def _day(document: Mapping[str, Any], name: str) -> dt.date:
    try:
        return dt.date.fromisoformat(str(document.get(name)))
    except ValueError as error:
        raise IntegrityError(f"{name} of the pack is no day: {document.get(name)!r}") from error


def _card(plan: ExperimentPlan, document: Mapping[str, Any], day: dt.date) -> Scorecard:
    sums = document.get("sums")
    if not isinstance(sums, Mapping) or day.isoformat() not in sums:
        raise IntegrityError(f"the pack has no sums of {day}", "and its rule needs them", "ask for it again")
    found = sums[day.isoformat()]
    if found is None:
        return score(plan, KeptSums.nobody(day, Request.of(plan, day).needs))
    counted = KeptSums.from_dict(found["counted"])
    halves = None if found["halves"] is None else cells_from_dict(found["halves"])
    return score(plan, counted, halves=halves, late=found["late"])


def _check_same(document: Mapping[str, Any], card: Scorecard, verdict: Verdict) -> None:
    """Hold what the sums give against what the pack tells: hashes can be made anew, the figures can't."""
    told = document.get("verdict")
    now = plain(verdict.to_dict())
    # Another release may say the same in other words.
    ours = document.get("software", {}).get("recommendr") == software()["recommendr"]
    for name in (*_JUDGED, *(_WORDS if ours else ())):
        if not isinstance(told, Mapping) or told.get(name) != now[name]:
            then = told.get(name) if isinstance(told, Mapping) else None
            raise _differs(f"verdict.{name}", then, now[name])
    tables = document.get("scorecard")
    rows = tables.get("metrics") if isinstance(tables, Mapping) else None
    fresh_card = plain(card.to_dict())
    again = fresh_card["metrics"]
    if isinstance(tables, Mapping) and tables.get("users") != fresh_card["users"]:
        raise _differs("scorecard.users", tables.get("users"), fresh_card["users"])
    if not isinstance(rows, list) or len(rows) != len(again):
        raise _differs("scorecard.metrics", None if rows is None else len(rows), len(again))
    for row, fresh in zip(rows, again, strict=True):
        for name in ("name", "variant", *_FIGURES):
            if not _alike(row.get(name), fresh[name]):
                raise _differs(f"{fresh['name']} of {fresh['variant']}: {name}", row.get(name), fresh[name])


def _alike(left: Any, right: Any) -> bool:  # noqa: ANN401 - figures, words or nothing
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (left, right))
    if not numbers:
        return bool(left == right)
    return bool(abs(left - right) <= _TOLERANCE * max(abs(left), abs(right)))


def _differs(what: str, told: object, found: object) -> IntegrityError:
    return IntegrityError(
        f"{what} is told as {told!r}, but the sums give {found!r}",
        "so the pack does not prove what it says",
        "ask for the pack again",
    )
