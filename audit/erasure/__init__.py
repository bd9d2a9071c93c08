"""Erasing a person from everything a workspace keeps, proving it by a search, and certifying it."""

from audit.erasure.certificate import Certificate, check
from audit.erasure.erasing import Erased, Ground, Step, erase, needles_of
from audit.erasure.records import Requests, SubjectRequest, erased_since
from audit.erasure.search import Proof, search
from audit.erasure.subjects import Subjects

__all__ = [
    "Certificate",
    "Erased",
    "Ground",
    "Proof",
    "Requests",
    "Step",
    "SubjectRequest",
    "Subjects",
    "check",
    "erase",
    "erased_since",
    "needles_of",
    "search",
]
