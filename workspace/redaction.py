"""What must not be written down: secrets, and who a user is.

Secrets are known by the name they go by (``password``, ``token`` …) or by their place in a URL. A user's id becomes a
digest under a key that this process alone has and forgets at its end: lines about one user can be told to belong
together while one looks into a matter, and lead nowhere afterwards.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final

REDACTED: Final = "[redacted]"
_DEPTH: Final = 6
_DIGEST_BYTES: Final = 6
_key: Final = secrets.token_bytes(32)

_WORDS: Final = frozenset(
    {
        "password",
        "passwd",
        "passphrase",
        "pwd",
        "secret",
        "secrets",
        "token",
        "authorization",
        "credential",
        "credentials",
        "dsn",
        "cookie",
        "apikey",
    }
)
_PAIRS: Final = frozenset({("api", "key"), ("access", "key"), ("private", "key"), ("signing", "key")})
_USERS: Final = frozenset({"user", "user_id", "user_ids", "userid"})
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_IN_URL: Final = re.compile(r"(?<=://)(?:[^\s/?#@:\"']*:[^\s@\"']{0,500}|[^\s/?#@:\"']+)@")
_NAMED: Final = re.compile(
    r"(?i)(?<![a-z0-9])(password|passwd|passphrase|pwd|secret|token|authorization|dsn|cookie|api[_-]?key)"
    r"(['\"]?\s*(?:==|=|:)\s*)(?:(['\"])(?:.*?)\3|(?:(?:bearer|basic|token)\s+)?[^\s,;&'\"}\])]+)"
)
_USER: Final = re.compile(r"(?i)\b(user(?:[_ ]?ids?)?['\"]?\s*(?:==|=|:)?\s*)(['\"])(.{1,300}?)\2")


def redacted(value: Any, name: str = "") -> Any:  # noqa: ANN401 - whatever a log record carries
    """Return a value as it may be written down.

    Args:
        value: Anything; mappings and sequences are looked into.
        name: What it goes by.

    Example:
        >>> redacted({"region": "US", "api_key": "abc"})
        {'region': 'US', 'api_key': '[redacted]'}
    """
    return _redacted(value, name, _DEPTH)


def redacted_text(text: str) -> str:
    """Return a text without the secrets and user ids that can be told by what stands before them.

    Example:
        >>> redacted_text("postgresql://me:pw@host/db refused password=hunter2")
        'postgresql://[redacted]@host/db refused password=[redacted]'
    """
    if "://" in text:
        text = _IN_URL.sub(f"{REDACTED}@", text)
    text = _NAMED.sub(lambda found: f"{found[1]}{found[2]}{REDACTED}", text)
    return _USER.sub(lambda found: f"{found[1]}{found[2]}{user_digest(found[3])}{found[2]}", text)


def user_digest(user_id: object) -> str:
    """Return what stands for a user's id in the lines of this process."""
    digest = hashlib.blake2b(str(user_id).encode("utf-8", "surrogatepass"), key=_key, digest_size=_DIGEST_BYTES)
    return f"user:{digest.hexdigest()}"


@lru_cache(maxsize=1_024)
def is_secret(name: str) -> bool:
    """Tell whether what goes by a name is a secret.

    Example:
        >>> is_secret("kafkaPassword"), is_secret("tokens_per_s"), is_secret("AUTHORIZATION")
        (True, False, True)
    """
    words = [word.lower() for word in _WORD.findall(name)]
    return not _WORDS.isdisjoint(words) or not _PAIRS.isdisjoint(pairwise(words))


def _redacted(value: Any, name: str, depth: int) -> Any:  # noqa: ANN401 - whatever a log record carries
    if value is None or isinstance(value, bool):
        return value
    if is_secret(name) or depth == 0:
        return REDACTED
    if isinstance(value, Mapping):
        return {str(key): _redacted(item, str(key), depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted(item, name, depth - 1) for item in value]
    if name.lower() in _USERS:
        return user_digest(value)
    return redacted_text(value) if isinstance(value, str) else value
