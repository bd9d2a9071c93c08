"""How a field is decided when two providers state it, and when their statements count as the same."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from recommender.catalogue.texts import folded
from recommender.providers.screening import FIELDS, Facts
from workspace.columns import Film

SEPARATOR: Final = "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What one provider says of a field, and when it said so."""

    provider: str
    updated_at: datetime
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the catalogue holds, whose it is, and whether the others agreed."""

    value: Any
    provider: str
    updated_at: datetime
    agreed: bool
    other_value: str


Same = Callable[[Any, Any], bool]
Rule = Callable[[Sequence[Statement], Same], Decision]

# Lists that grow truer by union. Blocked regions are among them because a legal block stated by anyone holds. Cast,
# directors and writers are not: their order is the billing, and two spellings of a name would become two people.
UNITED: Final = frozenset(
    {Film.GENRES, Film.KEYWORDS, Film.STUDIOS, Film.COUNTRIES, Film.LANGUAGES, Film.BLOCKED_REGIONS}
)
# The label and the age belong together and the stricter pair holds: a child must not be the one to find out.
STRICTEST: Final = (Film.AGE_RATING, Film.MINIMUM_AGE)
TOLERANCES: Final[Mapping[str, tuple[float, float]]] = {
    # field: absolute, relative
    Film.RUNTIME_MIN: (1, 0),
    Film.VOTE_AVERAGE: (0.1, 0),
    Film.VOTE_COUNT: (0, 0.05),
    Film.POPULARITY: (0, 0.1),
}


def decide(statements: Mapping[str, Facts], order: Sequence[str]) -> dict[str, Decision]:
    """Decide every field of a film.

    Args:
        statements: What each provider states of the film, by provider; ``updated_at`` is among it.
        order: The providers, the preferred first, for statements of the same moment.

    Returns:
        The decisions by field; a field nobody states is absent.
    """
    ranked = sorted(
        (provider for provider in order if provider in statements),
        key=lambda provider: statements[provider][Film.UPDATED_AT],
        reverse=True,
    )
    strict = _strictest(statements, ranked)
    decisions = {}
    for name in FIELDS:
        voices = [
            Statement(provider=provider, updated_at=statements[provider][Film.UPDATED_AT],
                      value=statements[provider][name])
            for provider in (strict if name in STRICTEST else ranked)
            if name in statements[provider]
        ]  # fmt: skip
        if voices:
            decisions[name] = (_union if name in UNITED else _first)(voices, _sameness(name))
    return decisions


def _strictest(statements: Mapping[str, Facts], ranked: Sequence[str]) -> list[str]:
    """Return the providers with an age first, the highest of them in front; the order is stable for equal ages."""
    return sorted(ranked, key=lambda provider: -statements[provider].get(Film.MINIMUM_AGE, -1.0))


def _first(voices: Sequence[Statement], same: Same) -> Decision:
    chosen, others = voices[0], voices[1:]
    different = [voice for voice in others if not same(chosen.value, voice.value)]
    return Decision(
        value=chosen.value,
        provider=chosen.provider,
        updated_at=chosen.updated_at,
        agreed=not different,
        other_value="; ".join(f"{voice.provider}: {_told(voice.value)}" for voice in different),
    )


def _union(voices: Sequence[Statement], same: Same) -> Decision:
    united: dict[str, str] = {}
    for voice in voices:
        for item in voice.value:
            united.setdefault(folded(item), item)
    agreed = all(same(voices[0].value, voice.value) for voice in voices[1:])
    return Decision(
        value=list(united.values()),
        provider=SEPARATOR.join(sorted(voice.provider for voice in voices)),
        updated_at=max(voice.updated_at for voice in voices),
        agreed=agreed,
        other_value="" if agreed else "; ".join(f"{voice.provider}: {_told(voice.value)}" for voice in voices),
    )


def _sameness(name: str) -> Same:
    if name in TOLERANCES:
        absolute, relative = TOLERANCES[name]
        return lambda one, other: abs(one - other) <= max(absolute, relative * max(abs(one), abs(other)))
    if name in Film.LISTS:
        return lambda one, other: {folded(item) for item in one} == {folded(item) for item in other}
    if name in Film.TEXTS:
        return lambda one, other: folded(one) == folded(other)
    return lambda one, other: bool(one == other)


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "nothing"
    if isinstance(value, date):
        return value.isoformat()
    return f"{value:g}" if isinstance(value, float) else str(value)
