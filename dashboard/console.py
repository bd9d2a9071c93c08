"""The frame of every page: what the server runs for each visit."""

from pathlib import Path

import streamlit as st

from dashboard import access, components
from workspace.errors import RecommendrError

ROOT = Path(__file__).resolve().parent.parent
STATIC = ROOT / "dashboard" / "static"
EVERYONE = access.ROLES


def pages() -> dict[str, list[st.Page]]:
    """Return the pages under their headings; one that is refused still answers its address."""

    def page(file: str, title: str, roles: tuple[access.Role, ...]) -> st.Page:
        allowed = access.allow(file, roles)
        source = ROOT / "pages" / f"{file}.py" if allowed == file else allowed
        return st.Page(source, title=title, url_path=file)

    first = page("goals", "Goals", EVERYONE)

    def landing() -> None:
        st.switch_page(first, query_params=st.query_params.to_dict())

    # One group: under several headings Streamlit's narrow menu puts what is no item into its list (axe: list).
    return {
        "": [
            st.Page(landing, title="RecommendR Console", url_path="start", default=True, visibility="hidden"),
            first,
            page("recommendations", "Recommendations", ("ml",)),
            page("film", "Film", EVERYONE),
            page("catalogue", "Catalogue", EVERYONE),
            page("experiments", "Experiments", EVERYONE),
            page("experiment", "Experiment", EVERYONE),
            page("drift", "Drift", EVERYONE),
            page("outliers", "Outliers", EVERYONE),
            page("alerts", "Alerts", EVERYONE),
            page("telemetry", "Telemetry", EVERYONE),
            page("system", "System", EVERYONE),
            page("reliability", "Reliability", EVERYONE),
            page("markets", "Markets", EVERYONE),
            page("audits", "Audits", EVERYONE),
            page("audit", "Audit", EVERYONE),
            page("manipulation", "Manipulation", EVERYONE),
            page("ledger", "Ledger", EVERYONE),
            page("privacy", "Privacy", EVERYONE),
            page("trace", "Trace", ("ml", "admin")),
            page("ingestion", "Ingestion", EVERYONE),
        ],
    }


st.set_page_config(page_title="RecommendR Console", page_icon=str(STATIC / "icon.png"), layout="wide")
st.logo(str(STATIC / "logo.svg"), size="large")
chosen = st.navigation(pages(), position="top")
try:
    chosen.run()
except RecommendrError as problem:
    components.error(problem)
