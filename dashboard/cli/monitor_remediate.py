"""`recommendr monitor remediate …`: going back to the index version before, and back again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import answer
from dashboard.cli.session import ACTOR, workspace

if TYPE_CHECKING:
    from monitoring.remediation import Remediation, Remediations

RemediationId = Annotated[str, typer.Argument(metavar="ID", help="Remediation id.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in a sentence.")]

app = helped("Go back to the index version before, and back again.")


@app.command("list")
def list_remediations(home: options.Home = None, as_json: options.Json = False) -> None:
    """List what was proposed, performed and undone, the newest first."""
    with _opened(home) as remediations:
        from dashboard.cli import monitor_rendering

        rows = [one.to_dict() for one in remediations.all()]
        answer({"remediations": rows}, monitor_rendering.remediations, as_json=as_json)


@app.command()
def propose(reason: Reason, home: options.Home = None, as_json: options.Json = False) -> None:
    """Propose to go back to the index version before; nothing changes yet."""
    with _opened(home) as remediations:
        _told(remediations.propose(reason, ACTOR), as_json=as_json)


@app.command()
def perform(remediation_id: RemediationId, home: options.Home = None, as_json: options.Json = False) -> None:
    """Do what was proposed: the index version before is served from the next request on."""
    with _opened(home) as remediations:
        _told(remediations.perform(remediation_id, ACTOR), as_json=as_json)


@app.command()
def reverse(
    remediation_id: RemediationId, reason: Reason, home: options.Home = None, as_json: options.Json = False
) -> None:
    """Undo what was performed: the version it went back from is served again."""
    with _opened(home) as remediations:
        _told(remediations.reverse(remediation_id, ACTOR, reason), as_json=as_json)


@app.command()
def dismiss(
    remediation_id: RemediationId, reason: Reason, home: options.Home = None, as_json: options.Json = False
) -> None:
    """Turn a proposal down; its rule makes none while the same version is served."""
    with _opened(home) as remediations:
        _told(remediations.dismiss(remediation_id, ACTOR, reason), as_json=as_json)


def _told(done: "Remediation", *, as_json: bool) -> None:
    from dashboard.cli import monitor_rendering

    answer(done.to_dict(), monitor_rendering.remediation, as_json=as_json)


@contextmanager
def _opened(home: Path | None) -> Iterator["Remediations"]:
    with workspace(home) as settings:
        from monitoring.remediation import Remediations
        from workspace.paths import Paths
        from workspace.store import Store

        store = Store.open(settings)
        try:
            yield Remediations(store, Paths(settings.home))
        finally:
            store.close()
