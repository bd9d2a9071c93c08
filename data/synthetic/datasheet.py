"""The datasheet of a benchmark, with its figures filled in by program.

Source: Gebru et al. (2021), Datasheets for datasets.
"""

from typing import Any

from data.synthetic.oracle import positives
from data.synthetic.spec import GENERATOR_VERSION
from data.synthetic.world import World
from workspace.columns import Film, Interaction, User

TEMPLATE = """# Datasheet: synthetic benchmark {name}

Written by `python -m data.synthetic make-benchmark`; every figure below is computed from the files beside it.

## Motivation
To judge a film recommender where the right answer is known. Real histories say what people did, never what they would
have liked best; here each user's true preference for each film is on file, so there is an oracle to fall short of. It
also gives tests and demonstrations data without any real person in it.

## Composition
| table | rows | what |
| --- | --- | --- |
| films | {films} | of {first_year} to {last_year}; {genres} genres, {countries} countries, {variety} |
| users | {users} | {regions} regions in {markets} markets; {preferences} |
| interactions | {interactions} | {per_user} a user on average, {first_day} to {last_day}; {kinds} |
| truth_films, truth_users | {films}, {users} | latent factors; not for recommenders |

Synopses have {words_low} to {words_high} words; {titles_unique} of the titles are unique, no synopsis occurs twice.
{partial} of the films are sold in some markets only, {blocked} are legally blocked in a region or more.
One interaction stands for all a user did with a film. Ids are invented; no row is about a real person, film or company,
and a name shared with one is chance.

## Process
Generator {generator}, seed {seed}. Films get themes, genres, a country, a tone, a quality and a fame; their texts and
keywords are composed from a grammar and vocabulary that follow those. People of a country stay with their subjects.
A user's taste is an inner product over these latent factors plus a few admired people. Choices are drawn from the
softmax of taste and fame without replacement (sharpness {sharpness}), {chance} of them by fame alone; how a film was
liked is its preference against the user's bar, plus mood. New films draw at their premiere and every film has a
fashionable time.

## Difficulty
Five random folds of each user's interactions; train is the other four; relevant are the positives (rated 4 or more, or
watched to 90 %) of the fold; candidates are all films but the user's train films. Mean over users with a relevant film,
then over folds.

| who | precision@5 |
| --- | --- |
| any order | {random:.4f} |
| popularity (train positives) | {popularity:.4f} |
| oracle (true preference) | {oracle:.4f} (95 % interval {oracle_low:.4f} to {oracle_high:.4f}) |
| oracle that also knows availability and legal blocks | {lawful_oracle:.4f} |

{positives} of the interactions are positive. The oracle stays below 1 because chance decides which of the films a user
would like are met at all.

## Known limits
- Taste is linear in the latent factors and does not drift; real taste is neither.
- Users meet films by their own taste: there is no exposure bias by an earlier recommender.
- Text is composed: it is varied and carries the theme, tone and place, but a language model would spot the grammar.
- Ratings lean high, since users mostly choose what they like. No user is malicious.
- A figure reached here says that a recommender uses content well; it does not predict its figure on real data.

## Uses
Regression tests, comparison of feature versions, demonstrations. Not for claims about people, cultures or countries:
shares of countries, names and genres are plausible choices, not statistics.

## Maintenance
A version is never changed; another spec or generator makes `v2`. `manifest.json` holds the SHA-256 of every file, and
`python -m data.synthetic make-benchmark --check` makes it anew and compares.
"""


def _share(part: float) -> str:
    return f"{100 * part:.1f} %"


def datasheet(world: World, figures: dict[str, Any], name: str) -> str:
    """Return the datasheet as Markdown.

    Args:
        world: The benchmark's world.
        figures: Its difficulty, ``measure(world).to_dict()``.
        name: Its version.
    """
    films, users, acts = world.films, world.users, world.interactions
    years = films[Film.RELEASE_DATE].dt.year
    words = films[Film.SYNOPSIS].str.split().str.len()
    kinds = acts[Interaction.KIND].value_counts(normalize=True)
    people = {name for column in (Film.CAST, Film.DIRECTORS, Film.WRITERS) for names in films[column] for name in names}
    keywords = films[Film.KEYWORDS].explode().nunique()
    collections = films.loc[films[Film.COLLECTION] != "", Film.COLLECTION].nunique()
    premium, limited = _share(users[User.PREMIUM].mean()), _share(users[User.MAXIMUM_AGE].notna().mean())
    excluders = _share(users[User.EXCLUDED_GENRES].str.len().gt(0).mean())
    low, high = figures["oracle_ci95"]
    return TEMPLATE.format(
        name=name,
        films=len(films),
        users=len(users),
        interactions=len(acts),
        first_year=years.min(),
        last_year=years.max(),
        genres=films[Film.GENRES].explode().nunique(),
        countries=films[Film.COUNTRIES].explode().nunique(),
        variety=f"{keywords} keywords, {len(people)} people, {collections} collections",
        regions=users[User.REGION].nunique(),
        markets=users[User.MARKET].nunique(),
        preferences=f"{premium} premium, {excluders} exclude genres, {limited} have an age limit",
        per_user=f"{len(acts) / len(users):.1f}",
        first_day=acts[Interaction.TS].min().date(),
        last_day=acts[Interaction.TS].max().date(),
        kinds=", ".join(f"{kind} {_share(share)}" for kind, share in kinds.items()),
        words_low=words.min(),
        words_high=words.max(),
        titles_unique=_share(films[Film.TITLE].nunique() / len(films)),
        partial=_share(films[Film.AVAILABLE_REGIONS].str.len().gt(0).mean()),
        blocked=_share(films[Film.BLOCKED_REGIONS].str.len().gt(0).mean()),
        generator=GENERATOR_VERSION,
        seed=world.spec.seed,
        sharpness=world.spec.sharpness,
        chance=_share(world.spec.chance_share),
        random=figures["random"],
        popularity=figures["popularity"],
        oracle=figures["oracle"],
        oracle_low=low,
        oracle_high=high,
        lawful_oracle=figures["lawful_oracle"],
        positives=_share(positives(acts).mean()),
    )
