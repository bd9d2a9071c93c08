"""What is true of a history, written beside it: dates, segments, sizes and the direction each shows in."""

from typing import Any, Final

import numpy as np

from data.synthetic.history import acts, crowd, plan, repertoire, system
from data.synthetic.history.acts import Reactions
from data.synthetic.history.plan import Plan, Window
from data.synthetic.history.repertoire import Repertoire
from data.synthetic.history.spec import HISTORY_VERSION

FILE: Final = "truth.json"
_MEANINGS: Final = {
    "ctr_lift": "treatment raises the probability of every click",
    "thumbs_harm": "treatment raises the probability of every thumbs-down",
    "none": "treatment does nothing: an A/A test",
    "srm": "treatment does nothing, but the exposures of some of its users never arrive",
    "novelty": "treatment raises clicks at first, falling in a straight line to nothing",
}


def manifest(made: Plan, films: Repertoire, *, physical: bool, world: bool) -> dict[str, Any]:
    """Return the truths of a history as JSON-ready values."""
    return {
        "history_version": HISTORY_VERSION,
        "spec": made.spec.to_dict(),
        "start": made.spec.start.isoformat(),
        "physical": physical,
        "world": world,
        "experiments": [_experiment(made, one) for one in made.experiments],
        "index_versions": [
            {"index_version": one.name, **_dates(made, one.window), "leaks_names": one.leaks, "broken": one.broken}
            for one in made.versions
        ],
        "planted": _planted(made, films, world=world),
        "surveys": _surveys(made),
        "population": {
            "ctr_between_users_cv": round(float(np.sqrt(np.exp(crowd.CLICK_SPREAD**2) - 1)), 4),
            "activity_between_users_cv": round(float(np.sqrt(np.exp(crowd.ACTIVITY_SPREAD**2) - 1)), 4),
            "market_clicks": crowd.MARKET_CLICKS,
            "market_activity": crowd.MARKET_ACTIVITY,
            "note": "clicks of a user resemble one another: intervals by event are far too narrow",
        },
        "left_out": [*made.left_out, *_nobody(made)],
    }


def _planted(made: Plan, films: Repertoire, *, world: bool) -> list[dict[str, Any]]:
    if not made.spec.planted:
        return []
    return _catalogue(made, films, world=world) + _people(made, films) + _services(made)


def _nobody(made: Plan) -> list[str]:
    if not made.spec.planted:
        return []
    few = f"fewer than {crowd.LEAST_CROWD} users"
    return [f"{kind}: {few}" for kind in ("bots", "click_farm")] if made.spec.users < crowd.LEAST_CROWD else []


def _dates(made: Plan, window: Window) -> dict[str, str]:
    """Return whole days: the first, and the last that is inside."""
    return {"first_day": made.date(window.first).isoformat(), "last_day": made.date(window.stop - 1).isoformat()}


def _moments(made: Plan, window: Window) -> dict[str, str]:
    return {"from": made.moment(window.first).isoformat(), "to": made.moment(window.stop).isoformat()}


def _experiment(made: Plan, one: plan.Experiment) -> dict[str, Any]:
    truth: dict[str, Any] = {
        "experiment_id": one.name,
        **_dates(made, one.window),
        "variants": list(plan.ARMS),
        "intended_share": 0.5,
        "allocated_share": plan.ALLOCATED,
        "effect": one.effect,
        "meaning": _MEANINGS[one.effect],
    }
    sizes: dict[str, dict[str, Any]] = {
        "ctr_lift": {"metric": "ctr", "relative_effect": plan.CTR_LIFT, "direction": "up"},
        "thumbs_harm": {"metric": "thumbs_down_rate", "relative_effect": plan.THUMBS_HARM, "direction": "up"},
        "none": {"metric": "ctr", "relative_effect": 0.0, "direction": "none"},
        "srm": {"metric": "n_users", "region": plan.LOSING_REGION, "lost_share_of_treatment": plan.LOST_SHARE},
        "novelty": {
            "metric": "ctr",
            "relative_effect_first_day": plan.NOVELTY_LIFT,
            "gone_after_share_of_window": plan.NOVELTY_GONE,
            "direction": "up, fading to none",
        },
    }
    return truth | sizes[one.effect]


def _catalogue(made: Plan, films: Repertoire, *, world: bool) -> list[dict[str, Any]]:
    leaking = [one for one in made.versions if one.leaks]
    broken = [one.name for one in made.versions if one.broken]
    same_lead = "films whose first cast name is the same" if world else (
        f"films in neighbouring rows, {repertoire.LEAD_GROUP} to a lead"
    )  # fmt: skip
    return [
        {
            "kind": "catalogue_quality",
            **_dates(made, made.incident),
            "index_version": broken[0] if broken else None,
            "film_ids": films.ids.take(np.flatnonzero(films.broken)).to_pylist(),
            "click_factor": plan.INCIDENT_FACTOR,
            "metric": "ctr",
            "direction": "down",
            "meaning": "broken synopses and duplicates: these films are clicked less",
        },
        {
            "kind": "name_leak",
            "index_versions": [one.name for one in leaking],
            **(_dates(made, leaking[0].window) if leaking else {}),
            "share_of_positions": plan.LEAK_SHARE,
            "meaning": f"slates go on with the lead of their first film ({same_lead})",
            "direction": "share of slates with two films of one lead: up",
        },
        {
            "kind": "keyword_stuffing",
            "from_day": made.date(made.stuffing_day).isoformat(),
            "studio": films.stuffer,
            "film_ids": films.ids.take(films.stuffed).to_pylist(),
            "share_of_positions": plan.STUFFED_SHARE,
            "metric": "impressions",
            "direction": "up",
        },
        {
            "kind": "provider_outage",
            **_moments(made, made.provider_outage),
            "provider": repertoire.PROVIDERS[1],
            "film_ids_rule": "every second film by row, from the second on",
            "service": system.OUTAGE_SERVICE,
            "error_share": system.OUTAGE_ERRORS,
            "direction": "impressions of these films: none; errors of the service: up",
        },
    ]


def _people(made: Plan, films: Repertoire) -> list[dict[str, Any]]:
    users = made.spec.users
    enough = users >= crowd.LEAST_CROWD
    return [
        {
            "kind": "taste_drift",
            "from_day": made.date(made.drift_day).isoformat(),
            "market": plan.DRIFT_MARKET,
            "genre_in_fashion": Reactions(made, films).drift_genre,
            "relative_ctr": round(drift_factor(made, films), 3),
            "metric": "ctr",
            "direction": "down",
            "meaning": "favourite genres are clicked no more than others; the genre in fashion is",
        },
        {
            "kind": "bots",
            **_dates(made, made.bots),
            "users": max(crowd.LEAST_BOTS, round(crowd.BOT_SHARE * users)) if enough else 0,
            "meaning": "hundreds of films a day, 35 % clicked, dwell 0, in no experiment",
        },
        {
            "kind": "click_farm",
            **_dates(made, made.farm),
            "accounts": max(crowd.LEAST_FARM, round(crowd.FARM_SHARE * users)) if enough else 0,
            "film_id": films.ids[films.farmed].as_py(),
            "click_share": acts.FARM_CLICKS,
            "metric": "ctr of the film",
            "direction": "up",
        },
    ]


def drift_factor(made: Plan, films: Repertoire) -> float:
    """Return what the drift does to the CTR of its market: the mean pull after by the mean pull before."""
    from data.synthetic.history.visits import FAVOURITE_SHARE

    shares, new = films.shares, films.genres.index(Reactions(made, films).drift_genre)
    favourite = FAVOURITE_SHARE + (1 - FAVOURITE_SHARE) * shares
    before = shares @ (favourite * acts.FAVOURITE_PULL + (1 - favourite) * acts.OTHER_PULL)
    shown = (1 - FAVOURITE_SHARE) * shares[new] + FAVOURITE_SHARE * (np.arange(len(shares)) == new)
    after = shares @ (shown * acts.DRIFT_PULL + (1 - shown) * acts.DRIFT_OTHER)
    return float(after / before)


def _services(made: Plan) -> list[dict[str, Any]]:
    return [
        {
            "kind": "latency",
            **_moments(made, made.latency),
            "service": system.LATENCY_SERVICE,
            "region": system.LATENCY_REGION,
            "more_seconds": system.LATENCY_MORE_S,
            "timeouts": system.TIMEOUTS,
            "upstream": list(system.UPSTREAM),
            "direction": "latency and errors up, in the services that wait for it too",
        },
        {
            "kind": "memory_leak",
            **_moments(made, made.memory_leak),
            "service": system.LEAK_SERVICE,
            "region": system.LEAK_REGION,
            "memory_from": system.MEMORY_LEVEL,
            "memory_to": system.MEMORY_FULL,
            "direction": "memory up in a straight line until the process is killed and its counters begin anew",
        },
    ]


def _surveys(made: Plan) -> dict[str, Any]:
    return {
        "answers_last_day_of_first": acts.ANSWERS_AT_THE_END if made.spec.planted else 1.0,
        "direction": "response falls in a straight line" if made.spec.planted else "response stays as it is",
        "engagement_sentiment_correlation": crowd.SENTIMENT_IN_ENGAGEMENT,
        "engagement_log_clicks_correlation": crowd.ENGAGEMENT_IN_CLICKS,
        "answers_by_engagement": acts.ANSWER_ENGAGEMENT,
        "mean_sentiment_of_all": acts.SCORE_MEAN,
        # Exponential tilting of a normal by the will to answer moves its mean by slope × correlation.
        "mean_sentiment_of_answers": round(
            acts.SCORE_MEAN + acts.SCORE_SPREAD * crowd.SENTIMENT_IN_ENGAGEMENT * acts.ANSWER_ENGAGEMENT, 4
        ),
        "meaning": "engaged users answer more and are happier: answers flatter the whole",
    }
