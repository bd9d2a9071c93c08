"""`recommendr monitor …`: exit codes for pipelines, one document, and every act recorded."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from dashboard.cli import monitor, monitor_benchmark
from dashboard.cli.group import ErrorGroup
from monitoring.findings import Cause, Change, Severity
from recommender import activation, index
from tests.dashboard.conftest import Answer
from tests.monitoring.alarms import Detects, Receiver, finding, prepared, receiving
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

app = typer.Typer(cls=ErrorGroup, add_completion=False, pretty_exceptions_enable=False)
group = typer.Typer()
monitor.register(group)
monitor_benchmark.register(group)
app.add_typer(group, name="monitor")
DETECTOR = Detects()
DRIFT = '[[rules]]\nname = "drift"\nkind = "finding"\ndetector = "drift.*"\n'


@app.callback()
def root() -> None:
    """A command line with nothing but the monitor."""


@pytest.fixture(autouse=True)
def detectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(monitor, "_detectors", lambda: (DETECTOR,))
    monkeypatch.setattr("monitoring.causes.explain", lambda found, _: found)
    began = datetime.now(UTC) - timedelta(hours=2)
    change = Change(kind="index_version", name="v7", at=began)
    cause = Cause(change=change, weight=0.7, reason="it went live that day")
    DETECTOR.findings, DETECTOR.error = (finding(began=began, causes=(cause,)),), None


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def home(tmp_path: Path, receiver: Receiver) -> Path:
    """A workspace with one rule and one route."""
    paths = prepared(tmp_path / "home")
    (paths.monitoring / "alerts.toml").write_text(
        f'{DRIFT}[[routes]]\nname = "hook"\nkind = "webhook"\nurl = "{receiver.url}"\n'
    )
    return paths.home


def call(home: Path, *arguments: object, text: bool = False) -> Answer:
    result = CliRunner().invoke(
        app, ["monitor", *map(str, arguments), "--home", str(home), *([] if text else ["--json"])]
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, {} if text else json.loads(result.stdout), result.stdout, result.stderr)


def test_run_ends_with_what_pipelines_need(home: Path, receiver: Receiver) -> None:
    found = call(home, "run")
    assert (found.code, found.document["ok"], len(found.document["alerts"]["firing"])) == (1, True, 1)
    assert len(receiver.got) == 1
    assert call(home, "run", "--fail-on", "critical").code == 0
    assert call(home, "run", "--fail-on", "never").code == 0
    assert len(receiver.got) == 1  # told once
    DETECTOR.error = ValueError("oops")
    failed = call(home, "run")
    assert (failed.code, failed.document["faults"][0]["where"]) == (2, "detector drift.telemetry")
    assert "detector drift.telemetry: this is a defect: ValueError: oops" in call(home, "run", text=True).stdout
    DETECTOR.error, DETECTOR.findings = None, ()
    assert call(home, "run").code == 0
    assert [one["event"] for one in receiver.documents] == ["firing", "resolved"]


def test_a_silenced_alert_fails_no_pipeline(home: Path, receiver: Receiver) -> None:
    made = call(home, "silence", "rule=drift", "market=central_*", "--reason", "known", "--for", "2h")
    assert (made.code, made.document["matchers"]) == (0, {"rule": "drift", "market": "central_*"})
    quiet = call(home, "run")
    assert (quiet.code, quiet.document["alerts"]["firing"][0]["silenced"], receiver.got) == (0, True, [])
    listed = call(home, "alerts").document["alerts"]
    assert [one["silence"]["reason"] for one in listed] == ["known"]
    ended = call(home, "unsilence", made.document["silence_id"], "--reason", "fixed")
    assert (ended.code, call(home, "silences").document["silences"]) == (0, [])
    assert len(call(home, "silences", "--all").document["silences"]) == 1
    assert (call(home, "run").code, len(receiver.got)) == (1, 1)
    store = Store.open(Settings(home=home))
    rows = [(row.actor, row.action) for row in reversed(Ledger(store).entries())]
    store.close()
    assert rows == [("cli", "alert.silence"), ("cli", "alert.unsilence")]


def test_a_bad_rule_is_said_by_the_exit_code_and_the_others_go_on(home: Path, receiver: Receiver) -> None:
    path = home / "monitoring" / "alerts.toml"
    path.write_text(
        path.read_text() + '[[rules]]\nname = "bad"\nkind = "measure"\nmeasure = "precison"\nop = "<"\nthreshold = 1\n'
    )
    checked = call(home, "rules", "--check")
    assert checked.code == 2
    (problem,) = checked.document["problems"]
    assert problem["what"] == "rule 'bad': measure == 'precison'"
    assert "precision_at_5" in problem["hint"]
    shown = call(home, "rules", text=True)
    assert shown.code == 0
    assert "rule: rule 'bad': measure == 'precison', must be a known measure. Hint: known are" in shown.stdout
    ran = call(home, "run")
    assert (ran.code, len(ran.document["alerts"]["firing"]), len(receiver.got)) == (2, 1, 1)


def test_rules_check_names_variables_that_are_not_set(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "monitoring" / "alerts.toml"
    path.write_text(path.read_text() + '[[routes]]\nname = "chat"\nkind = "slack"\nurl_env = "CHAT_URL"\n')
    checked = call(home, "rules", "--check")
    assert (checked.code, checked.document["unset_variables"]) == (2, ["CHAT_URL"])
    monkeypatch.setenv("CHAT_URL", "https://hooks.example.org/hunter2")
    passed = call(home, "rules", "--check")
    assert (passed.code, passed.document["unset_variables"]) == (0, [])
    assert "hunter2" not in passed.stdout + call(home, "rules", text=True).stdout


def test_what_could_not_be_delivered_waits_and_may_be_sent_alone(home: Path, receiver: Receiver) -> None:
    assert call(home, "run", "--no-deliver").document["delivery"] is None
    assert [one["state"] for one in call(home, "outbox").document["messages"]] == ["waiting"]
    receiver.codes, looks = [503], DETECTOR.looks
    sent = call(home, "run", "--deliver-only")
    assert (sent.code, list(sent.document["failed"].values())) == (2, ["it answered 503. Hint: see its own log."])
    assert DETECTOR.looks == looks
    # Too soon to try again: that is no failure.
    assert call(home, "run", "--deliver-only").code == 0
    assert call(home, "outbox").document["waiting"] == 1


def test_findings_are_those_of_the_last_run(home: Path) -> None:
    error = call(home, "findings").error
    assert (error["type"], error["hint"]) == ("StateError", "run `recommendr monitor run`")
    DETECTOR.findings = (*DETECTOR.findings, finding("focus_s", severity=Severity.INFO))
    ran = call(home, "run")
    found = call(home, "findings").document
    assert found["run_id"] == ran.document["run_id"]
    assert [one["metric"] for one in found["findings"]] == ["ctr", "focus_s"]
    assert found["findings"][0]["causes"][0]["change"]["name"] == "v7"
    assert found["notes"] == [{"detector": "drift.telemetry", "note": "nothing is missing"}]
    assert len(call(home, "findings", "--severity", "warning").document["findings"]) == 1
    assert call(home, "findings", "--detector", "outliers.*").document["findings"] == []
    assert [one["findings"] for one in call(home, "runs").document["runs"]] == [2]


def test_remediation_from_proposal_to_reversal(home: Path) -> None:
    paths, store = Paths(home), Store.open(Settings(home=home))
    assert call(home, "remediate", "propose", "--reason", "low").error["type"] == "StateError"
    for scale in (1.0, 2.0):
        made = index.write_version(paths, vectors=np.eye(4, dtype=np.float32) * scale, blocks={"only": (0, 4)})
        activation.activate(paths, Ledger(store), made.version, actor="cli")
    store.close()
    before, after = index.current_version(paths), index.previous_version(paths)
    proposed = call(home, "remediate", "propose", "--reason", "precision@5 is 15 %").document
    assert (proposed["state"], proposed["before"], proposed["after"]) == ("proposed", before, after)
    done = call(home, "remediate", "perform", proposed["remediation_id"]).document
    assert (done["state"], index.current_version(paths)) == ("performed", after)
    undone = call(home, "remediate", "reverse", proposed["remediation_id"], "--reason", "no help").document
    assert (undone["state"], index.current_version(paths)) == ("reversed", before)
    other = call(home, "remediate", "propose", "--reason", "again").document
    assert (
        call(home, "remediate", "dismiss", other["remediation_id"], "--reason", "no").document["state"] == "dismissed"
    )
    assert "dismissed" in call(home, "remediate", "list", text=True).stdout
    listed = call(home, "remediate", "list").document["remediations"]
    assert [one["state"] for one in listed] == ["dismissed", "reversed"]
    assert call(home, "remediate", "perform", "remediation_1").error["type"] == "UnknownError"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["silence", "drift", "--reason", "x", "--for", "2h"], "matcher == 'drift'"),
        (["silence", "rule=drift", "--reason", "x", "--for", "soon"], "duration == 'soon'"),
        (["silence", "rule=drift", "--reason", "x", "--for", "100d"], "a silence of 100 days"),
        (["silence", "rule=drift", "rule=cpu", "--reason", "x", "--for", "2h"], "matcher == 'rule=cpu'"),
        (["unsilence", "silence_1", "--reason", "x"], "silence == 'silence_1'"),
        (["run", "--detector", "drift"], "detector == 'drift'"),
        (["run", "--watch"], "--watch with --json"),
        (["run", "--deliver-only", "--detector", "drift.fake"], "--deliver-only with --detector"),
        (["run", "--deliver-only", "--no-deliver"], "--deliver-only with --no-deliver"),
        (["benchmark", "--all"], "--all without --score"),
        (["benchmark", "--index", "v0"], "index version 'v0' has no score"),
        (["run", "--fail-on", "sometimes"], "--fail-on"),
        (["alerts", "--limit", "0"], "--limit"),
    ],
)
def test_bad_input_is_named(home: Path, words: list[str], said: str) -> None:
    assert said in call(home, *words).error["what"]


def test_everything_reads_in_a_terminal(home: Path, receiver: Receiver) -> None:
    receiver.codes = [500]
    told = {"summary": "ctr fell\x1b[2J in [red]x[/red]", "began": datetime.now(UTC)}
    DETECTOR.findings = (finding(causes=DETECTOR.findings[0].causes, **told),)
    shown = call(home, "run", text=True)
    assert shown.code == 1
    assert "ctr fell\\x1b[2J in [red]x[/red]" in shown.stdout  # neither steers the terminal nor is markup
    assert "it answered 500" in shown.stdout
    for words, said in (
        (["findings"], "likely (70%): index_version v7"),
        (["alerts"], "warning firing"),
        (["alerts", "--all"], "warning firing"),
        (["outbox"], "1 waiting"),
        (["rules"], "drift.*"),
        (["runs"], "run_"),
        (["silences"], "silence"),
        (["remediate", "list"], "remediation"),
        (["run", "--deliver-only"], "0 messages delivered, 1 waiting"),
        (["silence", "rule=x", "--reason", "why not", "--for", "1d"], "why not"),
    ):
        result = call(home, *words, text=True)
        assert (result.code, said in result.stdout) == (0, True), (words, result.stdout, result.stderr)


def test_watch_goes_on_until_it_is_interrupted(home: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupted)
    ended = call(home, "run", "--watch", text=True)
    assert ended.code == 130
    assert "ctr fell" in ended.stdout
    assert len(receiver.got) == 1
