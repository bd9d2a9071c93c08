"""Three sentences and the counts they stand on."""

import dataclasses

from audit.report.summary import summary
from tests.audit.report.findings import figure, findings


def test_a_disparity_is_said_first_with_its_size() -> None:
    said = summary(findings())
    assert said["found"]
    assert said["sentences"][0] == (
        "Disparity was found in 1 of 3 declared comparisons, the largest in Reached by the films (Origin of the cast: "
        "east asian): east asian against anglophone (ratio 2.00); beside 1 with parity shown (ratio within 0.8 to 1.25)"
        " and 1 without enough evidence."
    )
    assert said["sentences"][1].startswith("Swapping origin of the name changed 340 of 600 lists (carried by: Cast")
    assert said["verdicts"] == {"disparity": 1, "parity shown": 1, "flagged": 0, "not enough evidence": 1}
    assert (said["declared"], said["outside"], said["without_verdict"]) == (4, 1, {"withheld": 1})


def test_clean_findings_say_so_and_what_they_could_not_see() -> None:
    said = summary(findings(clean=True))
    assert not said["found"]
    assert said["sentences"][0].startswith("No disparity was found in 2 declared comparisons")
    assert said["sentences"][1] == (
        "Identical histories gave identical lists in 600 pairs of personas that differ in one attribute alone."
    )
    # Both rows could have missed 0.75, which is 1.33 the other way.
    assert "half could have missed a ratio of 0.75 or 1.33" in said["sentences"][2]
    assert "1 cell withheld" in said["sentences"][2]
    assert "1 group too small" in said["sentences"][2]


def test_a_declared_use_is_stated_and_no_leak() -> None:
    made = findings(clean=True)
    stated = dataclasses.replace(made.swaps[0], attribute="region", differing=40, declared=True)
    assert (
        "but for 40 that a declared use or a rule accounts for"
        in summary(dataclasses.replace(made, swaps=(stated,)))["sentences"][1]
    )


def test_nothing_judged_is_not_parity() -> None:
    nothing = findings(figures=(figure(verdict=None, reason="not estimable: nobody was shown any"),), swaps=())
    said = summary(nothing)
    assert said["sentences"][0].startswith("Nothing could be judged")
    assert said["sentences"][1].startswith("Swapped attributes were not tested")
    assert "is not known for any comparison" in said["sentences"][2]
    assert said["without_verdict"] == {"not estimable": 1}
