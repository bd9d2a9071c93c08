"""Assignment, held against SHA-256 computed by hand and against what chance must do."""

import hashlib
import os
import subprocess
import sys
from fractions import Fraction
from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as st
from scipy import stats

from experiments import assignment
from experiments.assignment import assign, offset_of, split, standing, uniform, variant_of
from experiments.layers import ELSEWHERE, SLOTS, Holdout, Placement, alone, place, widths
from tests.experiments.plans import SALT, plan, variants
from workspace.errors import InvalidValueError, StateError

IDS = [f"user_{number:06d}" for number in range(24_000)]
MANY = assignment._FEW + 1


def by_hand(salt: str, unit: str) -> float:
    """The documented layout, from the definition and without any of the product's code."""
    word = int(hashlib.sha256(salt.encode("utf-8") + unit.encode("utf-8")).hexdigest()[:16], 16)
    return float(Fraction(word >> 11, 2**53))


def salted(**fields: Any) -> Any:
    return plan(**{"salt": SALT, **fields})


@pytest.mark.parametrize(
    ("salt", "unit", "word"),
    [
        # printf 'saltu1' | sha256sum, first 16 digits; the second one with two bytes a letter.
        ("salt", "u1", hashlib.sha256(b"saltu1").hexdigest()[:16]),
        ("s\u00e4lt", "\u00fc1", hashlib.sha256(b"s\xc3\xa4lt\xc3\xbc1").hexdigest()[:16]),
    ],
)
def test_uniform_is_the_top_53_bits_of_salt_then_id(salt: str, unit: str, word: str) -> None:
    assert uniform(salt, [unit])[0] == (int(word, 16) >> 11) / 2**53


def test_uniform_of_a_published_digest() -> None:
    # FIPS 180-2, appendix B.1: SHA-256("abc") = ba7816bf 8f01cfea …
    assert uniform("a", ["bc"])[0] == (0xBA7816BF8F01CFEA >> 11) / 2**53


def test_both_ways_of_hashing_agree_with_the_definition() -> None:
    odd = [
        "",
        "\u00fc",
        "\u65e5\u672c",
        "a b",
        'quo"te',
        "it's",
        "x" * 300,
        "\U0001f600",
        "0",
        "\\n",
        "line\nbreak",
        "\x00z",
    ]
    ids = [f"{unit}{number}" for number in range(MANY // len(odd) + 1) for unit in odd]
    expected = [by_hand(SALT, unit) for unit in ids]
    assert len(ids) > assignment._FEW
    assert uniform(SALT, ids).tolist() == expected
    assert uniform(SALT, ids[:100]).tolist() == expected[:100]


@pytest.mark.parametrize(
    "form",
    [
        lambda ids: ids,
        np.array,
        lambda ids: np.array(ids, dtype=object),
        pd.Series,
        lambda ids: pd.Series(ids, dtype="category"),
        pa.array,
        lambda ids: pa.array(ids, type=pa.large_string()),
        lambda ids: pa.chunked_array([ids[:7], ids[7:]]),
    ],
)
def test_uniform_takes_every_form_of_text(form: Any) -> None:
    ids = IDS[:50]
    assert uniform(SALT, form(ids)).tolist() == [by_hand(SALT, unit) for unit in ids]


def test_whole_numbers_stand_for_their_digits() -> None:
    assert uniform(SALT, [1, 20, 300]).tolist() == [by_hand(SALT, unit) for unit in ("1", "20", "300")]
    assert uniform(SALT, pd.Series([2**62])).tolist() == [by_hand(SALT, str(2**62))]


def test_uniform_of_nobody_is_empty() -> None:
    assert uniform(SALT, []).shape == (0,)
    assert assign(salted(), [], []).shape == (0,)


@pytest.mark.parametrize(
    ("ids", "told"),
    [
        (["u1", None], "1 of 2 user ids are missing"),
        (pd.Series(["u1", None, None]), "2 of 3 user ids are missing"),
        (["u1", ""], "1 of 2 user ids are empty"),
        ([1.5], "of type double"),
        ([True], "of type bool"),
        (["u1", 2], "can't be read"),
        (["\ud800"], "can't be read"),
    ],
)
def test_ids_that_are_none_are_counted_and_refused(ids: Any, told: str) -> None:
    with pytest.raises(InvalidValueError, match=told):
        uniform(SALT, ids)


def test_salt_must_not_be_empty() -> None:
    with pytest.raises(InvalidValueError, match="launching draws one"):
        uniform("", ["u1"])
    with pytest.raises(InvalidValueError, match="salt == ''"):
        variant_of(plan(), "u1", "SE")


def test_ids_and_regions_must_be_as_many() -> None:
    with pytest.raises(InvalidValueError, match="2 users have 1 regions"):
        assign(salted(), ["u1", "u2"], ["SE"])


def test_uniform_is_uniform() -> None:
    drawn = uniform(SALT, IDS)
    assert stats.kstest(drawn, "uniform").pvalue > 0.001
    assert drawn.min() >= 0
    assert drawn.max() < 1


def test_split_cuts_at_the_cumulated_weights() -> None:
    weights = {"a": 2, "never": 0, "b": 1, "c": 1}
    found = split(SALT, weights, IDS[:2_000])
    for unit, variant in zip(IDS[:2_000], found, strict=True):
        drawn = by_hand(SALT, unit)
        assert variant == ("a" if drawn < 0.5 else "b" if drawn < 0.75 else "c")


@pytest.mark.parametrize("weights", [{"a": 0, "b": 1}, {"a": 1, "b": 0}, {"a": 0.1, "b": 0.2, "c": 0.7}])
def test_weight_zero_gets_nobody_and_the_last_one_closes(weights: dict[str, float]) -> None:
    found = split(SALT, weights, IDS)
    assert set(found) == {name for name, weight in weights.items() if weight > 0}


@pytest.mark.parametrize(
    "weights", [{"a": -1, "b": 1}, {"a": 0, "b": 0}, {"a": float("nan"), "b": 1}, {"a": float("inf")}]
)
def test_split_refuses_weights_that_can_not_be(weights: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match="weight"):
        split(SALT, weights, ["u1"])


def test_variant_needs_only_id_salt_and_weights() -> None:
    chosen = salted(variants=variants(control=1, treatment=3), allocation={"SE": 0.5}, default_allocation=0.2)
    regions = np.array(["SE", "US"])[np.arange(len(IDS)) % 2]
    found = assign(chosen, IDS, regions, holdout=0.1)
    inside = np.array([one is not None for one in found])
    rebuilt = split(SALT, {"control": 1, "treatment": 3}, np.array(IDS)[inside])
    assert (found[inside] == rebuilt).all()


def test_assign_samples_each_region_by_its_allocation() -> None:
    chosen = salted(allocation={"SE": 0.3, "US": 0.05, "NO": 0.0})
    regions = np.array(["SE", "US", "NO", "DE"])[np.arange(len(IDS)) % 4]
    found = pd.Series(assign(chosen, IDS, regions)).groupby(regions)
    sizes, n = found.count(), len(IDS) // 4
    assert sizes["NO"] == 0
    for region, share in (("SE", 0.3), ("US", 0.05), ("DE", 0.1)):
        assert stats.binomtest(int(sizes[region]), n, share).pvalue > 0.001, region
        halves = found.get_group(region).value_counts()
        assert stats.binomtest(int(halves["control"]), int(sizes[region]), 0.5).pvalue > 0.001, region


@pytest.mark.parametrize("steps", [(0.01, 0.05, 0.10, 0.25, 0.50), (0.5, 0.5, 0.9, 1.0)])
def test_ramp_only_adds_users(steps: tuple[float, ...]) -> None:
    chosen, before = salted(), np.full(len(IDS), None, dtype=object)
    for share in steps:
        after = assign(chosen, IDS, "SE", ramp=share)
        inside = np.array([one is not None for one in before])
        assert (after[inside] == before[inside]).all()
        count = sum(one is not None for one in after)
        assert (share == 1.0 and count == len(IDS)) or stats.binomtest(count, len(IDS), share).pvalue > 0.001
        before = after


def test_canary_stays_inside_the_experiment_it_becomes() -> None:
    chosen = salted(default_allocation=0.1)
    canary = alone(chosen, 0.25, offset=offset_of(SALT))
    full = place(canary, widths(chosen, 0.25, canary=False), {}, offset=offset_of(SALT))
    before, after = (assign(chosen, IDS, "SE", placement=one) for one in (canary, full))
    inside = np.array([one is not None for one in before])
    assert (before[inside] == after[inside]).all()


def test_holdout_is_in_no_experiment_of_any_layer() -> None:
    held = set(np.array(IDS)[uniform("holdout:1", IDS) < 0.2])
    for layer in ("default", "ranking"):
        chosen = salted(layer=layer, default_allocation=1.0)
        inside = {unit for unit, one in zip(IDS, assign(chosen, IDS, "SE", holdout=0.2), strict=True) if one}
        assert inside == set(IDS) - held
    renewed = assign(salted(default_allocation=1.0), IDS, "SE", holdout=Holdout(share=0.2, period=2))
    again = {unit for unit, one in zip(IDS, renewed, strict=True) if one is None}
    assert stats.binomtest(len(again & held), len(held), 0.2).pvalue > 0.001


def test_experiments_of_a_layer_never_share_a_user() -> None:
    placed: dict[str, Placement] = {}
    shares = {"one": {"SE": 0.5}, "two": {"SE": 0.3, "US": 0.7}, "three": {"DE": 0.25}}
    made = {}
    for number, (name, allocation) in enumerate(shares.items()):
        made[name] = plan(name, salt=f"salt {number}", allocation=allocation)
        own = Placement(layer="default")
        offset = offset_of(made[name].salt)
        placed[name] = place(own, widths(made[name], None, canary=False), placed, offset=offset)
    # The first one grows between the others, where they named no region and where they did.
    others = {name: one for name, one in placed.items() if name != "one"}
    grown = widths(made["one"], 0.2, canary=False)
    placed["one"] = place(placed["one"], grown, others, offset=offset_of(made["one"].salt))
    regions = np.array(["SE", "US", "DE", "FR"])[np.arange(len(IDS)) % 4]
    inside = {
        name: np.array([one is not None for one in assign(made[name], IDS, regions, placement=placed[name])])
        for name in made
    }
    for one, other in combinations(inside, 2):
        assert not (inside[one] & inside[other]).any(), f"{one} and {other}"
    for name, region, share in (("one", "SE", 0.5), ("one", "FR", 0.2), ("two", "US", 0.7), ("three", "DE", 0.25)):
        count = int(inside[name][regions == region].sum())
        assert stats.binomtest(count, len(IDS) // 4, share).pvalue > 0.001, (name, region)


def test_a_full_layer_refuses_naming_the_shares() -> None:
    first = alone(salted(allocation={"US": 0.95}), offset=0.9)
    with pytest.raises(
        StateError,
        match=r"'default' has no room for 10\.0000% .* region US.*5\.0000% are free beside exp_1 95\.0000%",
    ):
        place(Placement(layer="default"), widths(plan("two"), None, canary=False), {"exp_1": first}, offset=0.1)


def test_a_layer_can_be_filled_to_the_last_slot() -> None:
    placed: dict[str, Placement] = {}
    for number in range(10):
        own = Placement(layer="default")
        placed[f"e{number}"] = place(own, {ELSEWHERE: 0.1}, placed, offset=number * 0.37 % 1)
    taken = sorted(piece for one in placed.values() for piece in one.of("SE"))
    assert sum(high - low for low, high in taken) == SLOTS
    assert all(before[1] <= after[0] for before, after in pairwise(taken))


@runs(max_examples=25)
@given(
    shares=st.lists(st.integers(1, 25), min_size=1, max_size=5),
    offsets=st.lists(st.floats(0, 0.999999), min_size=5, max_size=5),
    growth=st.integers(0, 20),
)
def test_places_are_disjoint_and_growing_keeps_them(shares: list[int], offsets: list[float], growth: int) -> None:
    placed: dict[str, Placement] = {}
    for number, share in enumerate(shares):
        free = 1 - sum(one.share("SE") for one in placed.values())
        if share / 100 > free:
            continue
        own = Placement(layer="default")
        placed[str(number)] = place(own, {ELSEWHERE: share / 100}, placed, offset=offsets[number])
    name, before = next(iter(placed.items()))
    free = 1 - sum(one.share("SE") for one in placed.values())
    target = before.share("SE") + min(growth / 100, max(0.0, free - 1e-6))
    others = {key: one for key, one in placed.items() if key != name}
    after = place(before, {ELSEWHERE: target}, others, offset=offsets[0])
    assert all(not _overlap(one, other) for one, other in combinations((*others.values(), after), 2))
    assert all(any(low <= a and b <= high for low, high in after.of("SE")) for a, b in before.of("SE"))
    assert after.share("SE") == pytest.approx(target, abs=1e-6)


def _overlap(one: Placement, other: Placement) -> bool:
    return any(a < d and c < b for a, b in one.of("SE") for c, d in other.of("SE"))


def test_layers_and_variants_are_independent() -> None:
    one = assign(salted(layer="one", default_allocation=0.5), IDS, "SE")
    two = assign(plan("two", salt="another", layer="two", default_allocation=0.5), IDS, "SE")
    inside = pd.crosstab(pd.Series(one).notna(), pd.Series(two).notna())
    assert stats.chi2_contingency(inside).pvalue > 0.001
    both = pd.DataFrame({"one": one, "two": two}).dropna()
    assert stats.chi2_contingency(pd.crosstab(both["one"], both["two"])).pvalue > 0.001


@pytest.mark.parametrize("unit", IDS[:300:7])
def test_one_user_is_assigned_as_many_are(unit: str) -> None:
    chosen = salted(allocation={"SE": 0.6, "NO": 0})
    placement = alone(chosen, offset=offset_of(SALT), holdout=Holdout(share=0.3))
    for region in ("SE", "NO", "DE"):
        alike = assign(chosen, [unit], region, placement=placement)[0]
        assert standing(chosen, unit, region, placement).variant == alike
        assert variant_of(chosen, unit, region, placement=placement) == alike


def test_standing_says_what_keeps_a_user_out() -> None:
    chosen = salted(allocation={"SE": 1, "NO": 0}, default_allocation=0.5)
    placement = alone(chosen, offset=0.0, holdout=Holdout(share=0.5))
    found = {(r, standing(chosen, unit, r, placement).why) for unit in IDS[:200] for r in ("SE", "NO", "DE")}
    assert found == {
        ("SE", "assigned"), ("SE", "holdout"), ("NO", "region"), ("DE", "assigned"), ("DE", "holdout"), ("DE", "layer")
    }  # fmt: skip
    with pytest.raises(InvalidValueError, match="user_id == ''"):
        standing(chosen, "", "SE", placement)


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_holdout_refuses_shares_that_can_not_be(share: float) -> None:
    with pytest.raises(InvalidValueError, match="holdout"):
        Holdout(share=share)


def test_another_process_assigns_alike_whatever_its_hash_seed() -> None:
    program = (
        "from experiments.assignment import assign; from tests.experiments.plans import plan, SALT\n"
        "print(''.join((one or '-')[0] for one in assign(plan(salt=SALT, default_allocation=0.6),"
        " [f'u{n}' for n in range(200)], 'SE')))"
    )
    here = assign(salted(default_allocation=0.6), [f"u{n}" for n in range(200)], "SE")
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    told = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == "".join((one or "-")[0] for one in here)
