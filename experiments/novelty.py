"""Does the lift fade? The lift of a user's later days held against that of the same user's first days."""

from dataclasses import dataclass
from typing import Any, Literal

Course = Literal["steady", "fading", "growing", "not_estimable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Novelty:
    """How the lift of one primary metric changes with the days since exposure.

    Args:
        metric: Its name.
        variant: Which treatment.
        course: ``fading`` (novelty), ``growing`` (primacy), ``steady`` or ``not_estimable``.
        early_rel: Relative lift over the first half of the days since exposure.
        early_ci: Its 95 % interval.
        late_rel: The same over the second half.
        late_ci: Its 95 % interval.
        statistic: z of the difference of the two log ratios.
        p: Two-sided p-value of it.
        p_adjusted: The same, adjusted by Holm over primary metrics × treatments.
        n_control: Users it rests on.
        n_variant: The same.
        reason: Why it can't be estimated.
    """

    metric: str
    variant: str
    course: Course
    early_rel: float | None = None
    early_ci: tuple[float, float] | None = None
    late_rel: float | None = None
    late_ci: tuple[float, float] | None = None
    statistic: float | None = None
    p: float | None = None
    p_adjusted: float | None = None
    n_control: int = 0
    n_variant: int = 0
    reason: str | None = None

    @property
    def flagged(self) -> bool:
        """Whether it is a novelty effect."""
        return self.course == "fading"

    @property
    def lasts(self) -> bool:
        """Whether the later lift alone is significantly away from none, in the direction of the early one."""
        if self.late_ci is None or self.early_rel is None:
            return False
        low, high = self.late_ci
        return low > 0 if self.early_rel > 0 else high < 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("early_ci", "late_ci"):
            document[name] = None if document[name] is None else list(document[name])
        return document | {"flagged": self.flagged, "lasts": self.lasts}
