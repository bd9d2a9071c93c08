"""All detectors together: each bears its own name, and none fails where there is nothing to look at."""

from fnmatch import fnmatch

from monitoring.detectors import ALL
from monitoring.ground import opened
from monitoring.runs import Runner
from workspace.paths import Paths
from workspace.settings import Settings


def test_every_detector_bears_a_name_of_its_own_under_a_known_head() -> None:
    names = [one.name for one in ALL]
    assert len(set(names)) == len(names)
    assert all(any(fnmatch(name, head) for head in ("drift.*", "outliers.*", "objectives.*")) for name in names)


def test_an_empty_workspace_is_looked_at_without_a_fault_and_says_what_is_missing(home: Paths) -> None:
    with opened(Settings(home=home.home)) as ground:
        report = Runner(ground, ALL).run()
    assert report.faults == ()
    assert report.findings == ()
    assert [one.detector for one in report.outcomes] == [one.name for one in ALL]
    silent = [one.detector for one in report.outcomes if not one.notes]
    assert silent == []
