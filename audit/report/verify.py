"""Whether a report is what a stranger gets who runs its plan again: identical, or where not."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Any, Final

from audit.names import counted, figure
from audit.plan import AuditPlan
from audit.report.document import SOFTWARE, is_sealed, plan_of, sealed
from workspace.errors import RecommendrError

MOST_DIFFERENCES: Final = 200
ABSENT: Final = "absent"
Rerun = Callable[[AuditPlan], Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where a report and its re-run say different things.

    Args:
        path: JSON pointer (RFC 6901) into the document.
        recorded: What the report says; `ABSENT` when it says nothing.
        again: What the re-run says.
        row: The figure it belongs to, in words; empty elsewhere.
    """

    path: str
    recorded: Any
    again: Any
    row: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"path": self.path, "recorded": self.recorded, "again": self.again, "row": self.row}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What verifying a report found.

    Args:
        report_id: The id the report bears.
        identical: Its hash holds and the re-run gave the same bytes.
        hash_holds: Its hash and id are those of its content.
        rerun: Whether it could be run again.
        rerun_hash: The hash of the re-run, made with the software the report names; empty without one.
        differences: Where they differ, at most `MOST_DIFFERENCES`.
        software: Programs that are of another version than the report's: ``name recorded now``.
        words: In a sentence or two.
    """

    report_id: str
    identical: bool
    hash_holds: bool
    rerun: bool
    rerun_hash: str
    differences: tuple[Difference, ...]
    software: tuple[Mapping[str, str], ...]
    words: str

    @property
    def where(self) -> list[str]:
        """JSON pointers to what differs."""
        return [one.path for one in self.differences]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "report_id": self.report_id,
            "identical": self.identical,
            "hash_holds": self.hash_holds,
            "rerun": self.rerun,
            "rerun_hash": self.rerun_hash,
            "where": self.where,
            "differences": [one.to_dict() for one in self.differences],
            "software": [dict(one) for one in self.software],
            "words": self.words,
        }


def verify(document: Mapping[str, Any], rerun: Rerun, *, plan: AuditPlan | None = None) -> Verification:
    """Compare a report with its own hash, then with what its plan gives when it is run again.

    Args:
        document: A report as `audit.report.document.read_document` returns it.
        rerun: Runs a plan and returns the document it gives.
        plan: What to run when the plan in the document can't be trusted; None takes the one in the document.

    Raises:
        RecommendrError: What stopped the re-run of a report whose hash holds. A report whose hash does not hold is
            found to be changed whether it can be run again or not.
    """
    holds = is_sealed(document)
    try:
        again = rerun(plan or plan_of(document))
    except RecommendrError as error:
        if holds:
            raise
        return _changed(document, error)
    theirs = dict(document["content"])
    ours = {**again["content"], SOFTWARE: theirs.get(SOFTWARE)}
    differences = tuple(islice(_differences(theirs, ours, "/content"), MOST_DIFFERENCES))
    differences = tuple(_named(one, theirs) for one in differences)
    return Verification(
        report_id=str(document["report_id"]),
        identical=holds and not differences,
        hash_holds=holds,
        rerun=True,
        rerun_hash=str(sealed(ours)["hash"]),
        differences=differences,
        software=_software(theirs.get(SOFTWARE), again["content"].get(SOFTWARE)),
        words=_words(holds=holds, differences=differences),
    )


def _changed(document: Mapping[str, Any], error: RecommendrError) -> Verification:
    return Verification(
        report_id=str(document["report_id"]),
        identical=False,
        hash_holds=False,
        rerun=False,
        rerun_hash="",
        differences=(),
        software=(),
        words=f"The report was changed after it was written: its hash is not that of its content. Where can't be said, "
        f"since it could not be run again: {error}",
    )


def _differences(left: Any, right: Any, path: str) -> Iterator[Difference]:  # noqa: ANN401 - any JSON
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted({*left, *right}):
            yield from _differences(left.get(key, ABSENT), right.get(key, ABSENT), f"{path}/{_escaped(key)}")
    elif isinstance(left, list) and isinstance(right, list):
        for place, (theirs, ours) in enumerate(zip_longest(left, right, fillvalue=ABSENT)):
            yield from _differences(theirs, ours, f"{path}/{place}")
    elif left != right or isinstance(left, bool) != isinstance(right, bool):
        # 1 and 1.0 are one number in canonical JSON; True and 1 are not.
        yield Difference(path=path, recorded=_short(left), again=_short(right))


def _named(one: Difference, content: Mapping[str, Any]) -> Difference:
    parts = one.path.split("/")
    if parts[2:3] != ["figures"] or len(parts) <= 3:  # noqa: PLR2004 - "", content, figures, index
        return one
    rows = content.get("figures")
    place = int(parts[3])
    if not isinstance(rows, list) or place >= len(rows) or not isinstance(rows[place], dict):
        return one
    try:
        row = figure(rows[place])
    except (KeyError, TypeError, AttributeError):
        return one
    return Difference(path=one.path, recorded=one.recorded, again=one.again, row=row)


def _words(*, holds: bool, differences: tuple[Difference, ...]) -> str:
    if holds and not differences:
        return "Identical: the hash holds, and the plan run again gives the same report byte for byte."
    if not differences:
        # Only what stands beside the content can have been touched.
        return "The hash or the id was changed; the content is what its plan gives when it is run again."
    more = "at least " if len(differences) == MOST_DIFFERENCES else ""
    where = f"{more}{counted(len(differences), 'place')}, the first at {differences[0].path}"
    if holds:
        return f"Not identical: the hash holds, but the plan run again says otherwise in {where}."
    return f"The report was changed after it was written: its hash does not hold, and the re-run differs in {where}."


def _software(recorded: Any, now: Any) -> tuple[Mapping[str, str], ...]:  # noqa: ANN401 - as a document holds it
    if not isinstance(recorded, dict) or not isinstance(now, dict):
        return ()
    return tuple(
        {"name": name, "recorded": str(recorded.get(name, ABSENT)), "now": str(now.get(name, ABSENT))}
        for name in sorted({*recorded, *now})
        if recorded.get(name) != now.get(name)
    )


def _short(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict | list):
        return f"{type(value).__name__} of {len(value)}"
    return value


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
