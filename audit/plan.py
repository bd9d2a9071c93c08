"""The audit plan: what will be looked at, declared and hashed before anything is looked at.

A plan names everything a run may depend on. Whoever doubts a report can ask whether a test was chosen because of its
result; the plan's hash, in the ledger before the run, answers no.
"""

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Self, get_args

import rfc8785

from workspace.checks import check_scalar
from workspace.errors import IntegrityError, InvalidValueError, SchemaError, UnknownError
from workspace.files import write_bytes
from workspace.paths import Paths

Panel = Literal["personas", "matched", "observed"]
CROSS: Final = " × "
"""Joins two axes into an intersection: ``name_origin × gender``."""

NAME_ORIGIN: Final = "name_origin"
GENDER: Final = "gender"
AGE_BAND: Final = "age_band"
REGION: Final = "region"
MARKET: Final = "market"
PREMIUM: Final = "premium"
USER_AXES: Final = (NAME_ORIGIN, GENDER, AGE_BAND, REGION, MARKET, PREMIUM)
OBSERVED_AXES: Final = (REGION, MARKET, PREMIUM)
"""What is known of real users: everything else exists for personas alone."""

DECLARED_AXES: Final = (REGION, MARKET)
"""What the recommender says it uses of an account: rights and law by region, the mean film by market."""

ORIGIN_COUNTRY: Final = "origin_country"
LANGUAGE: Final = "language"
CAST_ORIGIN: Final = "cast_origin"
STUDIO_SIZE: Final = "studio_size"
ERA: Final = "era"
FILM_AXES: Final = (CAST_ORIGIN, ORIGIN_COUNTRY, LANGUAGE, STUDIO_SIZE, ERA)

REACH: Final = "reach"
EXPOSURE: Final = "exposure"
PRECISION: Final = "precision_at_k"
HIT_RATE: Final = "hit_rate"
CALIBRATION: Final = "calibration_kl"
MEASURES: Final = (REACH, EXPOSURE, PRECISION, HIT_RATE, CALIBRATION)
"""By user group. ``reach``: share of users shown at least one film of a film group; ``exposure``: its discounted share
of their slates; ``precision_at_k``, ``hit_rate``: by films held back; ``calibration_kl``: genres shown against genres
of the history. The first two are asked by film axis too."""

LARGEST_PANEL: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """What an audit looks at.

    Args:
        title: What it is called.
        index_version: The version under audit.
        snapshot_id: The catalogue snapshot that answers for facts.
        on: The date the recommendations are answered for.
        panel: ``personas`` have identical histories across groups and swapped attributes; ``matched`` have histories of
            their own from the same tastes; ``observed`` are the catalogue's pseudonymous users.
        tastes: Base histories of a panel of personas; every taste is given to every combination of attributes.
        personas: Size of the panel at most; combinations are thinned evenly to it. 0 means all.
        history_length: Films in a persona's history.
        axes: User groups, of `USER_AXES`; two joined by `CROSS` are an intersection.
        film_axes: Film groups, of `FILM_AXES`.
        references: The group every other is held against, by axis, user or film; the largest group where an axis names
            none.
        measures: Of `MEASURES`.
        family: The confirmatory tests ``(axis, measure)``: Holm keeps their family-wise error. Everything else is
            listed with Benjamini–Hochberg and is no verdict.
        alpha: Family-wise error.
        parity: Ratios that count as parity.
        k: Length of a slate.
        k_anonymity: Least number of users behind a figure of observed users.
        least_share: Groups below this share of the panel are listed and not judged.
        holdout_days: Acts so many days before ``on`` are held back to judge precision, for observed users.
        seed: Of panel, bootstrap and permutation.
        market_version: An index version of one market, held against the general one on the same panel.
        notes: What whoever declared it wants known.
    """

    title: str
    index_version: str
    snapshot_id: str
    on: dt.date
    panel: Panel = "personas"
    tastes: int = 60
    personas: int = 0
    history_length: int = 20
    axes: tuple[str, ...] = (NAME_ORIGIN, GENDER, AGE_BAND, REGION)
    film_axes: tuple[str, ...] = (CAST_ORIGIN, ORIGIN_COUNTRY, STUDIO_SIZE)
    references: Mapping[str, str] = field(default_factory=dict)
    measures: tuple[str, ...] = MEASURES
    family: tuple[tuple[str, str], ...] = ()
    alpha: float = 0.05
    parity: tuple[float, float] = (0.8, 1.25)
    k: int = 5
    k_anonymity: int = 10
    least_share: float = 0.02
    holdout_days: int = 28
    seed: int = 20_251_027
    market_version: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        check_scalar(self.alpha, "alpha", gt=0, lt=1, hint="pass 0.05 for 95 % intervals")
        check_scalar(self.k, "k", ge=1, le=200)
        check_scalar(self.k_anonymity, "k_anonymity", ge=2, le=10_000)
        check_scalar(self.least_share, "least_share", ge=0, lt=0.5)
        check_scalar(self.tastes, "tastes", ge=2, le=LARGEST_PANEL)
        check_scalar(self.personas, "personas", ge=0, le=LARGEST_PANEL)
        check_scalar(
            self.history_length, "history_length", ge=1, le=1_000, hint="a persona without a history has no taste"
        )
        check_scalar(self.holdout_days, "holdout_days", ge=1, le=3_650)
        check_scalar(self.seed, "seed", ge=0)
        low, high = self.parity
        if not 0 < low < 1 < high:
            raise InvalidValueError(f"parity == {self.parity}", "must hold 1 inside", "pass (0.8, 1.25)")
        if self.panel not in get_args(Panel):
            raise InvalidValueError(f"panel == {self.panel!r}", f"must be one of {', '.join(get_args(Panel))}")
        if not self.title.strip() or not self.title.isprintable():
            raise InvalidValueError(f"title == {self.title!r}", "must be printable text and not empty")
        self._check_axes()

    def _check_axes(self) -> None:
        known = OBSERVED_AXES if self.panel == "observed" else USER_AXES
        limit = f"must be one of {', '.join(known)}"
        hint = "real users have no other attributes here" if self.panel == "observed" else f"join two by {CROSS!r}"
        if not self.axes:
            raise InvalidValueError("axes == ()", "must name at least one", limit)
        for axis in self.axes:
            parts = axis.split(CROSS)
            if len(parts) > len(set(parts)) or not set(parts) <= set(known):
                raise InvalidValueError(f"axis == {axis!r}", limit, hint)
        for value, name, allowed in (
            *((one, "film axis", FILM_AXES) for one in self.film_axes),
            *((one, "measure", MEASURES) for one in self.measures),
            *((axis, "axis of the family", self.axes) for axis, _ in self.family),
            *((measure, "measure of the family", self.measures) for _, measure in self.family),
            *((axis, "axis of a reference", (*self.axes, *self.film_axes)) for axis in self.references),
        ):
            if value not in allowed:
                raise InvalidValueError(f"{name} == {value!r}", f"must be one of {', '.join(allowed)}")

    @property
    def tests(self) -> tuple[tuple[str, str], ...]:
        """The confirmatory ``(axis, measure)`` pairs: the family, or all when none was declared."""
        return self.family or tuple((axis, measure) for axis in self.axes for measure in self.measures)

    @property
    def content(self) -> bytes:
        """The plan as canonical JSON (RFC 8785), without its id."""
        return rfc8785.dumps(self._plain())

    @property
    def plan_hash(self) -> str:
        """SHA-256 of the canonical plan, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def plan_id(self) -> str:
        """``plan_`` and 12 digits of the hash: the same plan has the same id."""
        return f"plan_{self.plan_hash[:12]}"

    def _plain(self) -> dict[str, Any]:
        plain: dict[str, Any] = {field_.name: getattr(self, field_.name) for field_ in dataclasses.fields(self)}
        return plain | {
            "on": self.on.isoformat(),
            "axes": list(self.axes),
            "film_axes": list(self.film_axes),
            "measures": list(self.measures),
            "references": dict(sorted(self.references.items())),
            "family": [list(pair) for pair in self.family],
            "parity": list(self.parity),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data, with its id and hash."""
        return {"plan_id": self.plan_id, "plan_hash": self.plan_hash, **self._plain()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore from `to_dict`.

        Raises:
            SchemaError: When a key is missing or unknown.
            IntegrityError: When the hash in it is not that of its content.
        """
        given = dict(values)
        claimed = given.pop("plan_hash", None)
        given.pop("plan_id", None)
        try:
            plan = cls(
                **given
                | {
                    "on": dt.date.fromisoformat(given["on"]),
                    "axes": tuple(given["axes"]),
                    "film_axes": tuple(given["film_axes"]),
                    "measures": tuple(given["measures"]),
                    "family": tuple((axis, measure) for axis, measure in given["family"]),
                    "parity": (given["parity"][0], given["parity"][1]),
                }
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            if isinstance(error, InvalidValueError):
                raise
            raise SchemaError(f"the plan can't be read: {error}", "must have the fields of a plan") from error
        if claimed is not None and claimed != plan.plan_hash:
            raise IntegrityError("the plan was changed after it was declared", hint="declare it anew")
        return plan


def save_plan(paths: Paths, plan: AuditPlan) -> Path:
    """Write a plan where `load_plan` finds it; the same plan again changes nothing."""
    file = _file(paths, plan.plan_id)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, rfc8785.dumps(plan.to_dict()))
    return file


def load_plan(paths: Paths, plan_id: str) -> AuditPlan:
    """Return a declared plan.

    Raises:
        UnknownError: When none of that id was declared.
        IntegrityError: When it was changed since.
    """
    file = _file(paths, plan_id)
    if not plan_id.startswith("plan_") or "/" in plan_id or not file.exists():
        known = ", ".join(plan.plan_id for plan in list_plans(paths)) or "none yet: run `recommendr audit plan`"
        raise UnknownError(f"plan == {plan_id!r}", "must be one that was declared", f"there are: {known}")
    return _read(file)


def list_plans(paths: Paths) -> list[AuditPlan]:
    """Return every declared plan, by id."""
    return [_read(file) for file in sorted((paths.audit / "plans").glob("plan_*.json"))]


def _file(paths: Paths, plan_id: str) -> Path:
    return paths.audit / "plans" / f"{plan_id}.json"


def _read(file: Path) -> AuditPlan:
    try:
        plan = AuditPlan.from_dict(json.loads(file.read_bytes()))
    except (ValueError, SchemaError) as error:
        raise IntegrityError(f"the plan {file.name} can't be read: {error}", hint="declare it anew") from error
    if plan.plan_id != file.stem:
        raise IntegrityError(f"the plan {file.name} was changed after it was declared", hint="declare it anew")
    return plan
