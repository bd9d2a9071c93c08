"""Published values that audits rest on and that other packages compute."""

import hashlib
import hmac

import numpy as np
import pytest

from experiments.multiplicity import adjust
from telemetry import pseudonyms


# Benjamini & Hochberg (1995), §4.1: 15 comparisons of thrombolysis.
def test_benjamini_and_hochbergs_example() -> None:
    p = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
        1.0,
    ]  # fmt: skip
    assert (adjust(p, "bh") <= 0.05).sum() == 4
    assert (np.array(p) <= 0.05 / 15).sum() == 3
    assert (adjust(p, "holm") <= 0.05).sum() == 3


# RFC 4231, §4.2, 4.3, 4.4, 4.5 and 4.6: those with a key of at most one block of SHA-256, 64 bytes.
CASES = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (b"\xaa" * 20, b"\xdd" * 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
    (bytes(range(1, 26)), b"\xcd" * 50, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
]


@pytest.mark.parametrize(("key", "data", "digest"), CASES)
def test_pseudonyms_are_the_first_63_bits_of_rfc_4231(key: bytes, data: bytes, digest: str) -> None:
    assert hmac.new(key, data, hashlib.sha256).hexdigest() == digest
    found = int(pseudonyms._digests(key, [data])[0])
    # Eight bytes as a number, without the sign.
    assert found == int(digest[:16], 16) & 0x7FFF_FFFF_FFFF_FFFF
