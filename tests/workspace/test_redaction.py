"""Redaction: what must not be written down is not, and what may be is left alone."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace.redaction import REDACTED, is_secret, redacted, redacted_text, user_digest


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "PASSWORD",
        "db_password",
        "kafkaPassword",
        "token",
        "access-token",
        "client_secret",
        "Authorization",
        "dsn",
        "SENTRY_DSN",
        "api_key",
        "apiKey",
        "apikey",
        "private_key",
        "Cookie",
        "credentials",
    ],
)
def test_secret_is_told_by_its_name(name: str) -> None:
    assert is_secret(name)
    assert redacted("hunter2", name) == REDACTED
    assert redacted({name: {"a": [1]}}) == {name: REDACTED}


@pytest.mark.parametrize(
    "name", ["films", "tokens", "tokens_per_s", "key", "index_version", "keyword", "secretary", ""]
)
def test_what_is_no_secret_is_left_alone(name: str) -> None:
    assert not is_secret(name)
    assert redacted("value", name) == "value"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:pw@host:5432/db", "postgresql://[redacted]@host:5432/db"),
        ("postgresql://me:p/w?x#y@host/db", "postgresql://[redacted]@host/db"),
        ("see https://token@host/x and https://host/y", "see https://[redacted]@host/x and https://host/y"),
        ("host='x' password='a b c' user", "host='x' password=[redacted] user"),
        ('{"token": "abc", "films": 5}', '{"token": [redacted], "films": 5}'),
        ("Authorization: Bearer abc.def, next", "Authorization: [redacted], next"),
        ("https://host/?api_key=abc&k=5", "https://host/?api_key=[redacted]&k=5"),
        ("MY_OWN_LONG_NAMED_DB_PASSWORD=abc", "MY_OWN_LONG_NAMED_DB_PASSWORD=[redacted]"),
        ("DB_PASSWORD=abc", "DB_PASSWORD=[redacted]"),
        ("encoded 512 tokens at 40 texts/s", "encoded 512 tokens at 40 texts/s"),
        ("the films are at https://host:80/a", "the films are at https://host:80/a"),
        ("", ""),
    ],
)
def test_text_keeps_all_but_secrets(text: str, expected: str) -> None:
    assert redacted_text(text) == expected


@pytest.mark.parametrize("text", ["user 'u17' is unknown", 'user_id == "u17", must be', "user_id='u17'", "User: 'u17'"])
def test_text_keeps_no_user_id(text: str) -> None:
    found = redacted_text(text)
    assert "u17" not in found
    assert user_digest("u17") in found


def test_user_ids_become_digests_that_agree() -> None:
    assert redacted(17, "user_id") == redacted("17", "USER_ID") == user_digest("17") != user_digest("18")
    assert redacted(["a", "b"], "user_ids") == [user_digest("a"), user_digest("b")]
    assert redacted(None, "user_id") is None


def test_what_is_too_deep_to_look_into_is_not_written() -> None:
    deep: Any = "hunter2"
    for _ in range(20):
        deep = {"a": deep}
    assert "hunter2" not in str(redacted(deep))


def test_text_however_long_is_looked_through_at_once() -> None:
    for piece in ("a-", "a_", "://a:", "user 'x", "password='", "token="):
        before = time.perf_counter()
        redacted_text(piece * 20_000)
        assert time.perf_counter() - before < 5


@given(st.text(), st.text(alphabet=st.characters(categories=("L", "N")), min_size=1))
def test_text_of_any_kind_can_be_looked_through(before: str, secret: str) -> None:
    assert isinstance(redacted_text(before), str)
    assert redacted_text(f"password={secret} x").startswith(f"password={REDACTED}")
