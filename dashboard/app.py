"""The server's entry: the console's script inside Streamlit's ASGI application.

``streamlit run dashboard/app.py`` finds ``app`` here. The script it serves is ``console.py``.
"""

import logging
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route

from dashboard import measuring
from dashboard.return_link import ReturnLink
from telemetry.system.exposition import METRICS_PATH, Measured

_LEAST_BYTES = 1_000
_LEVEL = 5  # half the CPU of the default 9 for 2 % more bytes


def report(problem: Exception) -> bool:
    """Log what no page expected, and say so without a traceback."""
    logging.getLogger("dashboard").error("a page failed", exc_info=problem)
    st.error("This page met an error it did not expect. The log has it; reloading the page may help.")
    return True


app = st.App(
    Path(__file__).with_name("console.py"),
    # Streamlit leaves its static files uncompressed; the charts alone are 4.7 MB plain and 1.4 MB packed.
    middleware=[
        Middleware(Measured, exposition=measuring.exposition),
        Middleware(measuring.SessionCounter, sessions=measuring.sessions),
        Middleware(GZipMiddleware, minimum_size=_LEAST_BYTES, compresslevel=_LEVEL),
        Middleware(ReturnLink),
    ],
    routes=[Route(METRICS_PATH, measuring.metrics)],
    lifespan=measuring.measuring,
    on_script_error=report,
)
