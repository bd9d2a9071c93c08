"""Bring whoever signs in back to the page they came for: Streamlit itself always lands on the first page."""

from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE: Final = "recommendr_return"
SIGNED_IN_COOKIE: Final = "_streamlit_user"
_MINUTES_10: Final = 600
_LONGEST: Final = 2_000


def is_own_address(target: str) -> bool:
    r"""Say whether a target stays on this host: one leading slash, no backslash, nothing that ends a header.

    Example:
        >>> is_own_address("/film?film=1"), is_own_address("//elsewhere.example"), is_own_address("/\\elsewhere")
        (True, False, False)
    """
    return (
        target.startswith("/") and not target.startswith("//") and "\\" not in target
        and target.isprintable() and len(target) <= _LONGEST
    )  # fmt: skip


class ReturnLink:
    """Remember the deep link of a visitor who has yet to sign in, and lead there once.

    Args:
        app: The application behind.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; only documents concern it."""
        if scope["type"] != "http" or scope["method"] != "GET" or not _is_document(scope):
            await self.app(scope, receive, send)
            return
        cookies = HTTPConnection(scope).cookies
        signed_in = any(name.startswith(SIGNED_IN_COOKIE) for name in cookies)
        wanted = unquote(cookies.get(COOKIE, ""))
        if signed_in and scope["path"] == "/" and wanted:
            response = RedirectResponse(wanted if is_own_address(wanted) else "/", status_code=303)
            response.delete_cookie(COOKIE)
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send if signed_in or not _sign_in_configured() else _remembering(scope, send))


def _is_document(scope: Scope) -> bool:
    accepts = dict(scope["headers"]).get(b"accept", b"")
    return b"text/html" in accepts and not scope["path"].startswith(("/oauth2callback", "/auth/", "/_stcore"))


def _sign_in_configured() -> bool:
    from dashboard.access import sign_in_configured

    return sign_in_configured()


def _remembering(scope: Scope, send: Send) -> Send:
    query = scope["query_string"].decode("latin-1")
    target = scope["path"] + (f"?{query}" if query else "")

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start" and target != "/" and is_own_address(target):
            kept = f"{COOKIE}={quote(target, safe='')}; Path=/; Max-Age={_MINUTES_10}; HttpOnly; SameSite=Lax"
            message = {**message, "headers": [*message["headers"], (b"set-cookie", kept.encode("latin-1"))]}
        await send(message)

    return sending
