"""A workspace in which audits run at once, since what they find is made by hand."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from audit.plan import AuditPlan
from dashboard import auditing
from tests.audit.report.findings import findings
from workspace.paths import Paths


def linked(ready_home: Path, home: Path) -> Path:
    """Return a workspace whose index and catalogue are the ready one's; what an audit writes is its own."""
    home.mkdir()
    for name in ("indexes", "catalogue"):
        (home / name).symlink_to(ready_home / name)
    return home


def by_hand(monkeypatch: pytest.MonkeyPatch, home: Path) -> dict[str, Any]:
    """Replace the run by findings made by hand; ``clean`` of what is returned says whether they hold a disparity."""
    chosen: dict[str, Any] = {"clean": False}
    manifest = auditing._manifest(Paths(home), None)

    def found(plan: AuditPlan, *_: Any, progress: Any = None, **__: Any) -> Any:
        if progress:
            progress("panel", 1, 1)
        subject = {**findings().subject, "manifest_checksum": manifest.checksum}
        return replace(findings(clean=chosen["clean"], plan=plan), subject=subject)

    subject = SimpleNamespace(view=SimpleNamespace(index=SimpleNamespace(manifest=manifest)))
    monkeypatch.setattr("audit.runs.run_audit", found)
    monkeypatch.setattr("audit.subject.Subject.open", lambda *_: subject)
    return chosen
