import numpy as np

from audit.runs.grouping import Grouping, grouping
from audit.runs.withholding import counted, sum_lines


def _axes() -> dict[str, Grouping]:
    region = np.array([0, 0, 1, 2, 2, 2])
    market = np.array([0, 0, 0, 1, 1, 1])
    return {
        "region": grouping("user", "region", region, ["KG", "KZ", "US"], least_share=0, references={}),
        "market": grouping("user", "market", market, ["asia", "america"], least_share=0, references={}),
    }


def test_counts_by_hand() -> None:
    found = counted(_axes(), np.array([True, True, True, True, False, False]))

    assert found["total",] == 4
    assert found["region", "KG"] == 2
    assert found["market", "america"] == 1
    assert found["market", "unknown"] == 0


def test_a_market_is_the_sum_of_its_regions() -> None:
    lines = {line.total: set(line.parts) for line in sum_lines(_axes()) if line.total[0] == "market"}

    assert lines["market", "asia"] >= {("region", "KG"), ("region", "KZ")}
    assert ("region", "US") in lines["market", "america"]


def test_axes_that_cross_are_no_sums_of_each_other() -> None:
    axes = _axes()
    axes["premium"] = grouping("user", "premium", np.tile([0, 1], 3), ["free", "premium"], least_share=0, references={})

    assert not [line for line in sum_lines(axes) if line.total[0] == "premium"]
