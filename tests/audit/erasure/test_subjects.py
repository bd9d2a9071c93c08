import json
import stat
from pathlib import Path

import pytest

from audit.erasure.subjects import Subjects, keyed
from workspace.errors import IntegrityError, InvalidValueError, StateError

# RFC 4231, test cases 1, 2, 6 and 7.
PUBLISHED = [
    (b"\x0b" * 20, "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (b"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    (
        b"\xaa" * 131,
        "Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
    (
        b"\xaa" * 131,
        (
            "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be "
            "hashed before being used by the HMAC algorithm."
        ),
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    ),
]


@pytest.mark.parametrize(("secret", "text", "digest"), PUBLISHED)
def test_keyed_gives_the_published_digests(secret: bytes, text: str, digest: str) -> None:
    assert keyed(secret, text) == digest


def test_names_stay_until_the_own_key_is_destroyed_and_the_listed_name_stays_after(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "subjects.json"
    subjects = Subjects(path)
    before, listed, other = subjects.named("ann"), subjects.listed("ann"), subjects.named("bo")
    assert before.startswith("subject:")
    assert len(before) == len("subject:") + 32
    assert len(listed) == 64
    assert Subjects(path).named("ann") == before != other
    assert subjects.forget(["ann", "nobody"]) == 1
    assert Subjects(path).names_of(["ann", "bo"]) == [other]
    assert subjects.named("ann") != before  # nothing leads back to it, not even the id
    assert Subjects(path).listed("ann") == listed
    assert "ann" not in path.read_text()


def test_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "subjects.json"
    Subjects(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(StateError, match="owner alone"):
        Subjects(path)


@pytest.mark.parametrize("content", ["", "{}", json.dumps({"key": "00", "named": {}}), json.dumps({"key": 3})])
def test_damaged_key_file_is_named_and_not_repeated(tmp_path: Path, content: str) -> None:
    path = tmp_path / "keys" / "subjects.json"
    Subjects(path)
    path.write_text(content)
    with pytest.raises(IntegrityError, match=r"damaged|no whole key"):
        Subjects(path)


def test_blank_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="blank"):
        Subjects(tmp_path / "subjects.json").listed(" ")
