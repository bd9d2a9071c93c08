"""The main parameters of the recommender and why they weigh what they weigh, in words, from the audited version itself.

Source: Regulation (EU) 2022/2065 (Digital Services Act), Article 27: the main parameters in plain language, at least
the most significant criteria and the reasons for their relative importance (2 a, b), and the options to modify or
influence them (1, 3).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from audit import names

CRITERIA: Final = {
    "text": "how near the story is, as title, tagline and synopsis tell it, to films you liked",
    "genre": "whether it has the genres of films you liked",
    "keyword": "whether it shares keywords with films you liked",
    "people": "whether its cast, directors and writers worked on films you liked",
    "collection": "whether it belongs to a series you liked a film of",
    "origin": "whether it comes from the countries and is in the languages of films you liked",
    "era": "whether it is from the years of films you liked",
    "runtime": "whether it is as long as films you liked",
    "age": "whether it has the age rating of films you liked",
    "acclaim": "how well it has been rated over all time, by everybody",
    "quality": "how well it is liked by those who watched it, whoever asks",
    "popularity": "how many watched it lately, whoever asks",
    "recency": "how new it is, whoever asks",
    "audience": "whether people whose histories are like yours watched it",
    "closest_film": "how near it is to the one film of your history it resembles most",
    "diversity": "whether it repeats what already stands higher on your list, which counts against it",
}
PERSONAL: Final = ("text", "genre", "keyword", "people", "collection", "origin", "era", "runtime", "age", "audience")
GENERAL: Final = ("acclaim", "quality", "popularity", "recency")
NO_DECAY_DAYS: Final = 1e8
_LEADING: Final = 0.15
_MINOR: Final = 0.03
OPTIONS: Final = (
    "Rate films, or give them a thumb down: what you rate changes what your history says, from the next list on.",
    "Dismiss a film: it is not recommended to you again.",
    "Exclude genres, choose languages or years, or set an age limit: films outside are left out, and nothing else is.",
    "Leave single criteria out of one list, for example popularity: the list is then made of the others alone.",
    "Ask for your data to be erased: without a history only the criteria that are the same for everybody speak.",
)
FIELDS: Final = {
    "market": "the market of the account (what is usual there is taken off your history)",
    "region": "the region of the account",
    "name_origin": "the origin of the account holder's name",
    "gender": "the gender of the account holder",
    "age_band": "the age of the account holder",
    "premium": "whether the account is a premium account",
}


def main_parameters(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the text of Article 27 for one version.

    Args:
        facts: Of the version: ``weights``, and ``evidence``, ``pooling`` and ``segments`` where it says them.

    Returns:
        ``criteria`` (most significant first: ``block name criterion weight influence words``), ``unused``, ``reasons``,
        ``account``, ``options``. ``influence`` is the share of a criterion in what moves scores, None where it was not
        measured.
    """
    weights = {name: float(value) for name, value in dict(facts.get("weights") or {}).items()}
    evidence = dict(facts.get("evidence") or {})
    shares = _shares(weights, dict(evidence.get("importance") or {}))
    used = sorted((name for name, weight in weights.items() if weight > 0), key=lambda name: _order(name, shares))
    return {
        "criteria": [_criterion(name, weights[name], shares.get(name)) for name in used],
        "unused": [names.block(name) for name, weight in weights.items() if weight <= 0],
        "reasons": _reasons(used, shares, evidence, dict(facts.get("pooling") or {})),
        "account": _account(list(facts.get("segments") or ["market"])),
        "options": list(OPTIONS),
    }


def _shares(weights: Mapping[str, float], importance: Mapping[str, Any]) -> dict[str, float]:
    """Share of each block in what moves scores: weight times spread of its term, as the fit measured it."""
    known = {name: float(importance[name]) for name, weight in weights.items() if weight > 0 and name in importance}
    total = sum(known.values())
    return {name: float(f"{value / total:.10g}") for name, value in known.items()} if total > 0 else {}


def _order(name: str, shares: Mapping[str, float]) -> tuple[float, str]:
    return (-shares.get(name, 0.0), name)


def _criterion(name: str, weight: float, share: float | None) -> dict[str, Any]:
    criterion = CRITERIA.get(name, f"the feature called {names.sentence(name).lower()}")
    if share is None:
        strength = "Counts"
    elif share >= _LEADING:
        strength = "One of the leading criteria"
    elif share >= _MINOR:
        strength = "Counts clearly"
    else:
        strength = "Counts a little"
    part = "" if share is None else f", about {share:.0%} of what moves a film up or down"
    return {
        "block": name,
        "name": names.block(name),
        "criterion": criterion,
        "weight": weight,
        "influence": share,
        "words": f"{strength}{part}: {criterion}.",
    }


def _reasons(
    used: Sequence[str], shares: Mapping[str, float], evidence: Mapping[str, Any], pooling: Mapping[str, Any]
) -> list[str]:
    if not used:
        return ["This version weighs no criterion: every film has the same score."]
    out = [_why(evidence, shares)]
    if shares:
        personal = sum(share for name, share in shares.items() if name in PERSONAL)
        out.append(
            f"About {personal:.0%} of what moves a film comes from your own history, and "
            f"{1 - personal:.0%} from criteria that are the same for everybody or depend on the list."
        )
    if pooling:
        out += _pooling(pooling)
    if any(name in GENERAL for name in used):
        out.append("Without a history, only the criteria that are the same for everybody speak.")
    out.append("Nobody can pay for a place: no criterion stands for a payment.")
    return out


def _why(evidence: Mapping[str, Any], shares: Mapping[str, float]) -> str:
    users = evidence.get("users")
    if not shares or not users:
        return (
            "The weights are the ones the program comes with; they were not fitted on this catalogue, and how strongly "
            "each criterion moves a film was not measured."
        )
    said = (
        f"The weights were fitted on the histories of {int(users):,} users: each criterion weighs as much as helped to "
        f"foresee what they went on to watch"
    )
    precision = evidence.get("held_out_precision_at_5")
    if precision is None:
        return f"{said}."
    return f"{said}. On users not fitted on, {float(precision):.0%} of five recommended films were then watched."


def _pooling(pooling: Mapping[str, Any]) -> list[str]:
    out = []
    half_life = pooling.get("half_life_days")
    if half_life is not None and float(half_life) < NO_DECAY_DAYS:
        out.append(f"What you did {float(half_life):g} days before your latest act counts half.")
    elif half_life is not None:
        out.append("What you did long ago counts as much as what you did last.")
    if pooling.get("shrinkage") is not None:
        out.append(
            f"The shorter your history, the less it says: {float(pooling['shrinkage']):g} clear likings are needed "
            "before it counts half of what a long one does."
        )
    return out


def _account(segments: Sequence[str]) -> list[str]:
    known = names.listing([FIELDS.get(name, names.sentence(name).lower()) for name in segments])
    out = [f"Of your account, this version takes in {known}; region and age limit decide what may be shown at all."]
    strange = [FIELDS.get(name, name) for name in segments if name not in ("market", "region")]
    if strange:
        out.append(f"Warning: {names.listing(strange)} should not reach a recommender, and does in this version.")
    return out
