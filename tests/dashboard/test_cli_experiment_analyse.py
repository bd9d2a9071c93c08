"""`recommendr experiment analyse`, `evidence`, `recompute` and `resplit`: their documents are contracts."""

from pathlib import Path

from typer.testing import CliRunner

from dashboard.cli import app
from tests.dashboard.conftest import call

NAME = "exp_ctr_lift"
METRIC_KEYS = {
    "name", "variant", "control", "n", "mean_control", "mean_variant", "diff", "ci95", "rel", "rel_ci95", "p",
    "p_adjusted", "df", "method",
}  # fmt: skip


def test_analyse_answers_by_contract(telemetry_home: Path) -> None:
    found = call(telemetry_home, "experiment", "analyse", NAME)
    assert found.code == 0, found.stderr
    document = found.document
    assert document["experiment"] == NAME
    assert set(document["srm"]) == {"p", "counts", "expected", "ok"}
    assert all(set(row) >= METRIC_KEYS for row in document["metrics"])
    assert document["verdict"]["decision"] in ("Ship", "Roll back", "Keep running", "Can't tell")
    assert document["verdict"]["reason"]
    raw = call(telemetry_home, "experiment", "analyse", NAME, "--raw").document
    assert raw["cuped"] is False
    assert raw["verdict"] == document["verdict"]


def test_bad_questions_are_named(telemetry_home: Path) -> None:
    assert call(telemetry_home, "experiment", "analyse", "nobody").error["what"] == "experiment == 'nobody'"
    assert "--as-of" in call(telemetry_home, "experiment", "analyse", NAME, "--as-of", "May").error["what"]
    assert "as_of" in call(telemetry_home, "experiment", "analyse", NAME, "--as-of", "1999-01-01").error["what"]


def test_evidence_is_judged_again_without_the_workspace(telemetry_home: Path, tmp_path: Path) -> None:
    made = call(telemetry_home, "experiment", "evidence", NAME, "--out", tmp_path).document
    assert len(made["files"]) == 2
    for file in made["files"]:
        result = CliRunner().invoke(app, ["experiment", "recompute", file, "--json"])
        assert result.exit_code == 0, result.output
        assert made["sha256"] in result.stdout
    path = Path(made["files"][0])
    path.write_text(path.read_text().replace('"decision":"', '"decision":"No '))
    assert CliRunner().invoke(app, ["experiment", "recompute", str(path)]).exit_code != 0


def test_everything_can_be_read_in_a_terminal(telemetry_home: Path) -> None:
    result = CliRunner().invoke(app, ["experiment", "analyse", NAME, "--home", str(telemetry_home)])
    assert result.exit_code == 0, result.output
    assert "What would change this" in result.stdout
