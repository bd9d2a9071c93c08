"""The certificate of an erasure: what was erased, what was searched, what remains and why; canonical and hashed.

It names nobody, by no digest either: only the id of the request. The hash stands in the ledger, so that a
certificate can be checked by whoever holds it: `check`.

Source: RFC 8785 (JSON Canonicalization Scheme), FIPS 180-4 (SHA-256).
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from audit.erasure.search import Proof
from workspace.errors import IntegrityError
from workspace.ledger import Ledger

FORMAT: Final = 1
COMPLETE: Final = "erasure.complete"
_LOOKED_THROUGH: Final = 10_000
_REMAINS: Final = (
    (
        "ids of slates that were erased",
        "so that a replay says so; nothing links such an id to a person",
    ),
    (
        "a keyed digest in the list of who was erased",
        "so that an import does not bring the person back; without the key, outside the store, it names nobody",
    ),
    (
        "published aggregates: reports and decisions about at least k people",
        "they hold no single person's values, and were true when they were made",
    ),
)
_LEDGER_REMAINS: Final = (
    "records of the ledger that name the person",
    (
        "written before ledger records named people by keyed digests; records are never changed or erased, since the "
        "chain would break. Their numbers are in the proof"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate and its hash.

    Args:
        content: What it says.
        sha256: Hash of the canonical bytes of the content, 64 hexadecimal digits.
    """

    content: Mapping[str, Any]
    sha256: str

    @property
    def text(self) -> str:
        """The whole as canonical JSON."""
        return rfc8785.dumps({"content": dict(self.content), "sha256": self.sha256}).decode()

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> "Certificate":
        """Seal a content."""
        return cls(content=content, sha256=hashlib.sha256(rfc8785.dumps(dict(content))).hexdigest())

    @classmethod
    def parse(cls, text: str) -> "Certificate":
        """Read a certificate.

        Raises:
            IntegrityError: When it is none, or its content does not give its hash.
        """
        try:
            values = json.loads(text)
            made = cls.of(values["content"])
            stated = values["sha256"]
        except (ValueError, KeyError, TypeError, rfc8785.CanonicalizationError) as error:
            raise IntegrityError(f"this is no certificate: {error}") from error
        if made.sha256 != stated:
            raise IntegrityError("the certificate is not what its SHA-256 says", hint="ask for it again")
        return made


def write_certificate(
    *,
    request: Mapping[str, Any],
    erased: Mapping[str, Mapping[str, Any]],
    proof: Proof,
    now: dict[str, str | None],
    completed_at: dt.datetime,
) -> Certificate:
    """Write the certificate of a finished erasure.

    Args:
        request: Its id, when and by whom it was made.
        erased: What every step erased, in counts.
        proof: The search afterwards.
        now: What is current afterwards: ``snapshot_id``, ``index_version``.
        completed_at: The moment.
    """
    remains = [*_REMAINS, *([_LEDGER_REMAINS] if proof.ledger else [])]
    return Certificate.of(
        {
            "certificate": "erasure",
            "format": FORMAT,
            **request,
            "completed_at": completed_at.isoformat(),
            "erased": {step: dict(counts) for step, counts in erased.items()},
            "proof": proof.to_dict(),
            "remains": [{"what": what, "why": why} for what, why in remains],
            **now,
        }
    )


def check(ledger: Ledger, certificate: Certificate) -> int | None:
    """Return the number of the ledger record that holds a certificate's hash, or None when none does."""
    for offset in range(0, 10**9, _LOOKED_THROUGH):
        entries = ledger.entries(_LOOKED_THROUGH, offset)
        for entry in entries:
            if entry.action == COMPLETE and entry.details.get("certificate") == certificate.sha256:
                return entry.seq
        if len(entries) < _LOOKED_THROUGH:
            break
    return None
