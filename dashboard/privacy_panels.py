"""The parts of *Privacy*: what is kept and for how long, erasure and export, the requests, the register of purposes."""

from typing import Final

import streamlit as st

from audit.erasure import Erased, SubjectRequest
from audit.purposes import register
from audit.retention import Kept
from dashboard import access, components
from dashboard.loaders import privacy as loaders

TABS: Final = ("Retention", "Erasure and export", "Requests", "Purposes")
_WORDS: Final = {"open": "not finished", "done": "done"}


def draw() -> None:
    """Draw the parts as tabs, and only the open one."""
    parts = (_retention, _people, _requests, _purposes)
    for tab, part in zip(st.tabs(list(TABS), key="tab", bind="query-params"), parts, strict=True):
        if tab.open:
            with tab, components.guarded():
                part()


def _retention() -> None:
    kept = loaders.stores()
    components.last_good(kept)
    late = [store for store in kept.value if store.overdue]
    if late:
        names = ", ".join(store.store for store in late)
        components.banner(
            f"Too old: {names}.", "The daily run deletes it; this does so now.", tone="warn",
            command="recommendr retention apply",
        )  # fmt: skip
    else:
        components.banner("Nothing is kept longer than it may be.", tone="good")
    components.table(
        ("Store", "Oldest day", "Oldest day allowed", "Too old", "State"),
        [_store(store) for store in kept.value],
        caption="What says what people did, by store, against the limit",
        numeric=("Too old",),
        tight=("Oldest day", "Oldest day allowed"),
    )


def _store(store: Kept) -> tuple[object, ...]:
    state = components.pill("too old", "warn") if store.overdue else components.pill("within the limit", "good")
    oldest = store.oldest.isoformat() if store.oldest else "empty"
    return store.store.capitalize(), oldest, store.limit.isoformat(), f"{store.overdue:,} {store.unit}", state


def _people() -> None:
    who = access.viewer()
    if who is None or not (who.local or who.role == "admin"):
        components.banner(
            "Erasing and exporting are for the role admin.", "The other tabs are for everyone.", tone="warn"
        )
        return
    st.header("Erase", anchor=False)
    components.show(
        '<p class="rr-muted">Rows, telemetry, slates, older snapshots and index versions go; the index is built anew; '
        "then every byte that is kept is searched. There is no way back.</p>"
    )
    with st.form("erase"):
        user = st.text_input("User id to erase", key="erase_user", max_chars=200)
        reason = st.text_input(
            "Reason", key="erase_reason", max_chars=500, help="Kept with the request; must not name the user."
        )
        sure = st.text_input("The id again, to confirm", key="erase_sure", max_chars=200)
        asked = st.form_submit_button("Erase", type="primary")
    if asked:
        with components.guarded():
            _erase(user.strip(), reason.strip(), sure.strip())
    st.header("Export", anchor=False)
    with st.form("export"):
        one = st.text_input("User id to export", key="export_user", max_chars=200)
        wanted = st.form_submit_button("Gather the data")
    if wanted and one.strip():
        with components.guarded():
            content = loaders.export(one.strip(), actor=access.acting())
            st.download_button("Download the data", content, "export.json", "application/json", on_click="ignore")


def _erase(user: str, reason: str, sure: str) -> None:
    if not user or user != sure:
        components.banner("The two ids are not the same.", "Nothing was changed.", tone="warn")
        return
    bar = st.progress(0.0, text="Erasing…")

    def told(stage: str, done: int, total: int) -> None:
        bar.progress(done / total if total else 0.0, text=f"{stage}…")

    erased = loaders.erase(user, reason, actor=access.acting(), progress=told)
    bar.empty()
    _outcome(erased)


def _outcome(erased: Erased) -> None:
    if erased.status == "not proven":
        components.banner("Traces are left.", "Remove them, then erase again: the same request goes on.", tone="bad")
        hits = erased.proof.hits if erased.proof else ()
        components.table(
            ("Where", "How it is written", "Found", "Times"),
            [(hit.where, hit.form, hit.reading, hit.count) for hit in hits],
            caption="Where traces are left", numeric=("Times",),
        )  # fmt: skip
        return
    title = "Erased and proven." if erased.status == "erased" else "Erased before."
    components.banner(title, f"Request {erased.request_id}. The certificate names nobody.", tone="good")
    if erased.certificate is not None:
        st.download_button(
            "Download the certificate", erased.certificate.text, f"{erased.request_id}.json", "application/json",
            key="certificate_now", on_click="ignore",
        )  # fmt: skip


def _requests() -> None:
    found = loaders.requests()
    if not found:
        components.banner("Nobody has asked for anything yet.")
        return
    components.table(
        ("Request", "Kind", "Asked (UTC)", "By", "State", "Done (UTC)"),
        [_request(one) for one in found],
        caption="Requests of people, the newest first; a person is not named",
        tight=("Asked (UTC)", "Done (UTC)"),
    )
    certified = {one.request_id: one for one in found if one.certificate}
    if not certified:
        return
    chosen = st.selectbox("Certificate of", list(certified), key="request", bind="query-params")
    certificate = certified[chosen].certificate if chosen else None
    if certificate is not None:
        st.download_button(
            "Download the certificate", certificate, f"{chosen}.json", "application/json", on_click="ignore"
        )


def _request(one: SubjectRequest) -> tuple[object, ...]:
    tone: components.Tone = "good" if one.state == "done" else "warn"
    done = f"{one.completed_at:%Y-%m-%d %H:%M}" if one.completed_at else ""
    state = components.pill(_WORDS.get(one.state, one.state), tone)
    return one.request_id, one.kind, f"{one.requested_at:%Y-%m-%d %H:%M}", one.requested_by, state, done


def _purposes() -> None:
    components.table(
        ("Purpose", "What", "Why", "Legal basis", "Kept", "Who may see it"),
        [(one.title, one.what, one.why, one.basis, one.retention, ", ".join(one.who)) for one in register()],
        caption="The register of purposes",
    )
    components.table(
        ("Store", "Columns", "Purpose"),
        [(store, ", ".join(columns), one.title) for one in register() for store, columns in one.columns.items()],
        caption="Columns by store and purpose",
    )
