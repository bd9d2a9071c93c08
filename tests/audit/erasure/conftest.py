"""The small workspace, built once."""

from tests.audit.erasure.small import built, made

__all__ = ["built", "made"]
