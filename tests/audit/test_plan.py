import dataclasses
import datetime as dt
import hashlib
import json
from pathlib import Path

import pytest
import rfc8785

from audit.plan import CROSS, AuditPlan, list_plans, load_plan, save_plan
from workspace.errors import IntegrityError, InvalidValueError, SchemaError, UnknownError
from workspace.paths import Paths


def plan(**changes: object) -> AuditPlan:
    told = {"title": "Names", "index_version": "v1", "snapshot_id": "c1", "on": dt.date(2026, 3, 1)}
    return AuditPlan(**{**told, **changes})  # type: ignore[arg-type]


def test_plan_hash_is_that_of_its_canonical_json() -> None:
    told = plan().to_dict()
    claimed = told.pop("plan_hash")
    name = told.pop("plan_id")
    assert claimed == hashlib.sha256(rfc8785.dumps(told)).hexdigest()
    assert name == f"plan_{claimed[:12]}"


def test_plan_comes_back_from_json() -> None:
    first = plan(axes=("name_origin", f"name_origin{CROSS}gender"), family=(("name_origin", "reach"),))
    assert AuditPlan.from_dict(json.loads(json.dumps(first.to_dict()))) == first


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(AuditPlan)])
def test_plan_changed_in_any_field_has_another_hash(field: str) -> None:
    other = {
        "title": "Other", "index_version": "v2", "snapshot_id": "c2", "on": dt.date(2026, 3, 2), "panel": "matched",
        "tastes": 61, "personas": 7, "history_length": 21, "axes": ("gender",), "film_axes": ("era",),
        "references": {"gender": "woman"}, "measures": ("reach",), "family": (("gender", "reach"),), "alpha": 0.01,
        "parity": (0.9, 1.1), "k": 6, "k_anonymity": 11, "least_share": 0.03, "holdout_days": 29, "seed": 1,
        "market_version": "v3", "notes": "seen",
    }  # fmt: skip
    assert plan(**{field: other[field]}).plan_hash != plan().plan_hash


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"axes": ("shoe_size",)}, "shoe_size"),
        ({"axes": ()}, "axes"),
        ({"axes": (f"gender{CROSS}gender",)}, "gender"),
        ({"panel": "observed", "axes": ("name_origin",)}, "name_origin"),
        ({"panel": "everybody"}, "everybody"),
        ({"film_axes": ("colour",)}, "colour"),
        ({"measures": ("joy",)}, "joy"),
        ({"family": (("region", "joy"),)}, "joy"),
        ({"axes": ("gender",), "family": (("region", "reach"),)}, "region"),
        ({"references": {"shoe_size": "41"}}, "shoe_size"),
        ({"history_length": 0}, "history_length"),
        ({"alpha": 1.5}, "alpha"),
        ({"parity": (1.1, 1.2)}, "parity"),
        ({"title": "bell\x07"}, "title"),
        ({"least_share": -0.1}, "least_share"),
    ],
)
def test_plan_refuses_what_can_not_be_audited(changes: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidValueError, match=named):
        plan(**changes)


def test_tests_are_the_family_or_everything() -> None:
    assert plan(axes=("gender",), measures=("reach", "hit_rate")).tests == (("gender", "reach"), ("gender", "hit_rate"))
    assert plan(family=(("gender", "reach"),)).tests == (("gender", "reach"),)


def test_saved_plan_is_found_and_a_changed_one_refused(tmp_path: Path) -> None:
    paths = Paths(tmp_path).ensure()
    file = save_plan(paths, plan())
    assert save_plan(paths, plan()) == file
    assert load_plan(paths, plan().plan_id) == plan()
    assert list_plans(paths) == [plan()]
    file.write_bytes(file.read_bytes().replace(b'"k":5', b'"k":6'))
    with pytest.raises(IntegrityError, match="changed"):
        load_plan(paths, plan().plan_id)
    file.write_bytes(b"{")
    with pytest.raises(IntegrityError, match="can't be read"):
        load_plan(paths, plan().plan_id)


@pytest.mark.parametrize("name", ["plan_none", "../../etc/passwd", "plan_/../x", ""])
def test_unknown_plan_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownError, match="recommendr audit plan"):
        load_plan(Paths(tmp_path).ensure(), name)


def test_plan_of_another_shape_is_refused() -> None:
    with pytest.raises(SchemaError):
        AuditPlan.from_dict({"title": "x"})
    with pytest.raises(SchemaError):
        AuditPlan.from_dict(plan().to_dict() | {"surprise": 1})
