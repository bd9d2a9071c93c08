"""The console measures itself: requests, processors, memory, open sessions; for Prometheus and the embedded series."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from telemetry.system import SeriesStore
from telemetry.system.exposition import Exposition, OwnSampler
from workspace import logs
from workspace.errors import RecommendrError
from workspace.paths import Paths
from workspace.settings import load_settings

SERVICE: Final = "console"
_STREAM: Final = "/_stcore/stream"


class OpenSessions:
    """How many browsers hold a session open now."""

    def __init__(self) -> None:
        self.count = 0


class SessionCounter:
    """ASGI middleware that counts the open sessions: each holds one WebSocket.

    Args:
        app: What answers.
        sessions: Where they are counted; one event loop, so no lock is needed.
    """

    def __init__(self, app: ASGIApp, sessions: OpenSessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, and count for as long as it lasts."""
        if scope["type"] != "websocket" or not scope.get("path", "").endswith(_STREAM):
            await self._app(scope, receive, send)
            return
        self._sessions.count += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._sessions.count -= 1


sessions: Final = OpenSessions()
exposition: Final = Exposition(service=SERVICE, sessions=lambda: sessions.count)


async def metrics(_: Request) -> Response:
    """Answer a scrape of Prometheus."""
    body, content_type = exposition.render()
    return Response(body, headers={"content-type": content_type})


@asynccontextmanager
async def measuring(_: Any) -> AsyncIterator[None]:  # noqa: ANN401 - Streamlit's application
    """Log, and sample this process once a minute, for as long as the server runs."""
    try:
        settings = load_settings()
        paths = Paths(settings.home).ensure()
        logs.configure(paths, settings.log_level, service=SERVICE)
    except RecommendrError:
        # The pages say what is wrong with the workspace; there is no place to measure into.
        yield
        return
    sampler = OwnSampler(SeriesStore(paths), exposition)
    sampler.start()
    try:
        yield
    finally:
        sampler.stop()
