"""The report as data: what was found and what a reader needs to judge it, in canonical JSON, named by its own hash.

The hashed part holds no wall-clock time, so that the same plan on the same version gives the same bytes; the moment it
ran is in the ledger.

Source: RFC 8785 (JSON Canonicalization Scheme).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import rfc8785

from audit.plan import AuditPlan
from audit.report import front_matter, ll144, main_parameters, methods, summary
from audit.results import Findings
from workspace.errors import IntegrityError, InvalidValueError, SchemaError

KIND: Final = "recommendr.audit-report"
FORMAT: Final = 1
LARGEST_BYTES: Final = 256 << 20
PLAN: Final = "plan"
SOFTWARE: Final = "software"


def build_document(
    findings: Findings, *, facts: Mapping[str, Any] | None = None, software: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return the report of an audit.

    Args:
        findings: What was found.
        facts: What the audited version says of itself beyond ``findings.subject``: ``evidence pooling segments``.
        software: Name and version of what computed it. A re-run by other software is compared without this part.

    Returns:
        ``kind format report_id hash content``; the hash is of the content's canonical form.

    Raises:
        InvalidValueError: When something in it is no JSON, for example a NaN.
    """
    content: dict[str, Any] = findings.to_dict()
    known = {**dict(findings.subject), **dict(facts or {})}
    content |= {
        "subject": known,
        "summary": summary.summary(findings),
        "model_card": front_matter.model_card(findings, known),
        "datasheet": front_matter.datasheet(findings),
        "bias_tables": ll144.bias_tables(findings),
        "main_parameters": main_parameters.main_parameters(known),
        "methods": methods.methods(findings.plan),
        "limits": list(dict.fromkeys((*findings.limits, *methods.STANDING_LIMITS))),
        SOFTWARE: dict(software or {}),
    }
    return sealed(content)


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return content as a document with its hash and id."""
    # Through JSON once: what is hashed is what will be read back.
    canonical = _canonical(_jsonable(content))
    digest = hashlib.sha256(canonical).hexdigest()
    return {
        "kind": KIND,
        "format": FORMAT,
        "report_id": f"audit_{digest[:12]}",
        "hash": digest,
        "content": json.loads(canonical),
    }


def is_sealed(document: Mapping[str, Any]) -> bool:
    """Say whether the hash and id in a document are those of its content."""
    digest = hashlib.sha256(_canonical(document["content"])).hexdigest()
    return bool(document["hash"] == digest and document["report_id"] == f"audit_{digest[:12]}")


def report_bytes(document: Mapping[str, Any]) -> bytes:
    """Return a document in canonical JSON: the bytes that are stored and handed out."""
    return _canonical(document)


def read_document(raw: bytes, name: str = "the report") -> dict[str, Any]:
    """Read a report; whether its hash holds is asked of `is_sealed`.

    Args:
        raw: The file's bytes.
        name: What to call it in an error.

    Raises:
        SchemaError: When it is no JSON, is cut off, or is JSON of another kind.
    """
    if len(raw) > LARGEST_BYTES:
        raise SchemaError(f"{name} has {len(raw):,} bytes", f"must have at most {LARGEST_BYTES:,}", _GIVE)
    try:
        document = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"{name} can't be read as JSON: {error}", "must be whole and well formed", _GIVE) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise SchemaError(f"{name} is no audit report", f"must be JSON of the kind {KIND}", _GIVE)
    if document.get("format") != FORMAT:
        raise SchemaError(f"{name} has format {document.get('format')!r}", f"must be {FORMAT}", "use a newer program")
    content = document.get("content")
    missing = [key for key in ("report_id", "hash") if not isinstance(document.get(key), str)]
    if missing or not isinstance(content, dict):
        raise SchemaError(f"{name} has no {', '.join(missing) or 'content'}", "must be whole", _GIVE)
    if strange := sorted(set(document) - {"kind", "format", "report_id", "hash", "content"}):
        raise SchemaError(f"{name} holds {strange[0]!r}", "must hold nothing beside its content and its hash", _GIVE)
    _canonical(content)
    return document


def checked(document: Mapping[str, Any]) -> None:
    """Refuse a document whose hash is not that of its content.

    Raises:
        IntegrityError: When it was changed.
    """
    if not is_sealed(document):
        raise IntegrityError(
            f"the report {str(document['report_id'])[:40]!r} was changed after it was written",
            "must match its own hash",
            "`recommendr audit verify` says where",
        )


def plan_of(document: Mapping[str, Any]) -> AuditPlan:
    """Return the plan in a document.

    Raises:
        SchemaError: When it holds none that can be read.
        IntegrityError: When the plan is not what its own hash says.
    """
    plan = document["content"].get(PLAN)
    if not isinstance(plan, dict):
        raise SchemaError("the report holds no plan", "must hold the plan it was made by", _GIVE)
    return AuditPlan.from_dict(plan)


def findings_of(document: Mapping[str, Any]) -> Findings:
    """Return what a document's audit found, as it was before it was written down.

    Raises:
        SchemaError: When a part is missing or has other fields.
        IntegrityError: When the plan in it is not what its own hash says.
    """
    return Findings.from_dict(document["content"])


_GIVE: Final = "give the JSON file that `recommendr audit report ID --format json` writes"


def _canonical(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError) as error:
        raise InvalidValueError(f"a report can't hold this: {error}", "must be text and finite numbers") from error


def _jsonable(value: Any) -> Any:  # noqa: ANN401 - whatever a finding holds
    """Return the value in the types of JSON; numpy's numbers become Python's."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, str):
        # A lone surrogate has no UTF-8: shown as its escape, it can be hashed and printed.
        return str(value).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Sequence):
        return [_jsonable(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return _jsonable(value.item()) if hasattr(value, "item") else value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    # Two readers may choose two of them, and then the hash is of another report than the one that is shown.
    if len(out) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return out


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
