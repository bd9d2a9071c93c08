"""Tables in the law's shape, against the city's own sample."""

import pytest

from audit.report.ll144 import bias_tables
from audit.results import GroupCount
from tests.audit.report.findings import WITHHELD, figure, findings


def test_the_sample_table_of_the_city_is_reproduced() -> None:
    # The rule's sample of a selection by sex: male 667 of 1390, 48 %, 1.00; female 555 of 1181, 47 %, 0.979.
    made = findings(
        figures=(figure(n=1181, n_reference=1390, value=555 / 1181, value_reference=667 / 1390, ratio=0.979),),
        counts=(
            GroupCount(side="user", axis="gender", group="female", n=1181, share=0.45, judged=True),
            GroupCount(side="user", axis="gender", group="male", n=1390, share=0.53, judged=True),
            GroupCount(side="user", axis="gender", group="unknown", n=60, share=0.02, judged=False),
        ),
    )
    (table,) = bias_tables(made)
    assert (table["kind"], table["most_selected"], table["unknown"]) == ("selection", "male", 60)
    female, male = table["rows"]
    assert (female["applicants"], female["selected"], round(female["rate"], 2)) == (1181, 555, 0.47)
    assert (male["applicants"], male["selected"], round(male["rate"], 2)) == (1390, 667, 0.48)
    assert male["impact_ratio"] == 1
    assert female["impact_ratio"] == pytest.approx(0.979, abs=0.0005)


def test_small_and_withheld_categories_are_named_without_a_ratio() -> None:
    rare = figure(group="rare", n=4, value=1.0, ratio=2.0, verdict=None, reason="below 2 %")
    table = next(one for one in bias_tables(findings(figures=(figure(), WITHHELD, rare))) if one["axis"] == "gender")
    rows = {row["category"]: row for row in table["rows"]}
    assert (rows["rare"]["applicants"], rows["rare"]["impact_ratio"], rows["rare"]["note"]) == (4, None, "below 2 %")
    assert rows["rare"]["selected"] == 4
    assert rows["diverse"]["applicants"] is None
    assert rows["diverse"]["selected"] is None
    assert rows["diverse"]["note"] == "withheld: fewer than 10 users"
    assert table["most_selected"] != "rare"


def test_a_rate_of_zero_everywhere_has_no_ratio() -> None:
    (table,) = bias_tables(findings(figures=(figure(value=0.0, value_reference=0.0, ratio=None),)))
    judged = [row for row in table["rows"] if not row["excluded"]]
    assert [row["impact_ratio"] for row in judged] == [None, None]
    assert all("not estimable" in row["note"] for row in judged)


def test_only_rates_and_scores_make_tables() -> None:
    tables = bias_tables(findings())
    assert {one["measure"] for one in tables} == {"reach", "hit_rate", "exposure"}
    provider = next(one for one in tables if one["side"] == "provider")
    assert (provider["kind"], provider["rows"][1]["impact_ratio"]) == ("scoring", 0.5)
    assert [row["selected"] for row in provider["rows"]] == [None, None]
