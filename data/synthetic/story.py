"""The written side of a film: title, tagline, synopsis and keywords, composed from grammar and vocabulary."""

from dataclasses import dataclass
from typing import Any, Final

from data.synthetic.randomness import Dice
from data.synthetic.vocabulary import Country, Culture, Theme, cultures, prose

FEWEST_WORDS: Final = 40
MOST_WORDS: Final = 90
AN_BEFORE: Final = ("a", "e", "i", "o", "u", "honest", "hour", "heir")
A_BEFORE: Final = ("one", "once", "uni", "use", "eu", "ukr")
WOMENS_ROLES: Final = frozenset(
    {
        "bride",
        "countess",
        "daughter",
        "forewoman",
        "girl",
        "headmistress",
        "lady",
        "matriarch",
        "midwife",
        "mistress",
        "mother",
        "nun",
        "postmistress",
        "queen",
        "schoolmistress",
        "seamstress",
        "sister",
        "widow",
        "witch",
        "woman",
    }
)
MENS_ROLES: Final = frozenset(
    {
        "bishop",
        "boy",
        "cosmonaut",
        "fisherman",
        "imam",
        "priest",
        "prince",
        "son",
        "swordsman",
        "widower",
    }
)
NOMINATIVE: Final = {"she": ("she", "her", "her"), "he": ("he", "him", "his")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """Somebody in the story."""

    given: str
    family: str
    full: str
    pronoun: str

    def slots(self) -> dict[str, str]:
        """Return the pronoun slots of sentences about this character."""
        they, them, their = NOMINATIVE[self.pronoun]
        return {"they": they, "them": them, "their": their, "They": they.capitalize(), "Their": their.capitalize()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Premise:
    """What the story is told from.

    Attributes:
        themes: Main theme first.
        genres: Main genre first.
        country: Where it is set.
        tone: Light, pace, scale, dream.
        year: Year of release.
        director: Name of the director.
        previous: The story it continues.
    """

    themes: tuple[Theme, ...]
    genres: tuple[str, ...]
    country: Country
    tone: tuple[float, ...]
    year: int
    director: str
    previous: "Story | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A told film."""

    title: str
    original_title: str
    tagline: str
    synopsis: str
    keywords: tuple[str, ...]
    collection: str
    hero: Character
    base_title: str
    place: str


def article(phrase: str) -> str:
    """Return the phrase with its indefinite article.

    Example:
        >>> article("unlucky florist"), article("union steward"), article("honest bank clerk")
        ('an unlucky florist', 'a union steward', 'an honest bank clerk')
    """
    word = phrase.lower()
    use_an = word.startswith(AN_BEFORE) and not (word.startswith(A_BEFORE) and not word.startswith(("unin", "unim")))
    return f"{'an' if use_an else 'a'} {phrase}"


def sentence(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def plural(noun: str) -> str:
    """Return the plural of a title noun.

    Example:
        >>> [plural(noun) for noun in ("Witness", "Debt", "Family", "Prophecy", "Ashes")]
        ['Witnesses', 'Debts', 'Families', 'Prophecies', 'Ashes']
    """
    if noun.endswith(("es", "ings", "ees")):
        return noun
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es" if noun.endswith(("ss", "x", "ch", "sh")) else noun
    if noun.endswith("y") and noun[-2] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"


def _culture(country: Country, dice: Dice) -> Culture:
    point = dice.uniform() * sum(country.cultures.values())
    for name, share in country.cultures.items():
        point -= share
        if point < 0:
            return cultures()[name]
    return cultures()[next(iter(country.cultures))]


def _character(country: Country, dice: Dice) -> Character:
    culture = _culture(country, dice)
    woman = dice.chance(0.5)
    given, family = dice.pick(culture.women if woman else culture.men), dice.pick(culture.family)
    return Character(
        given=given, family=family, full=culture.full_name(given, family), pronoun="she" if woman else "he"
    )


def _fitting_roles(roles: tuple[str, ...], pronoun: str) -> list[str]:
    """Return the roles this character can have: a widow is not a he."""
    other = MENS_ROLES if pronoun == "she" else WOMENS_ROLES
    return [role for role in roles if not other.intersection(role.replace("-", " ").split())]


def _mood(tone: tuple[float, ...], dice: Dice) -> tuple[str, str, str]:
    """Return (mood, second mood, closing) from the two strongest axes of the tone."""
    axes = sorted(range(len(tone)), key=lambda axis: -abs(tone[axis]))
    words = [dice.pick(prose()["tones"][axis]["high_moods" if tone[axis] > 0 else "low_moods"]) for axis in axes[:2]]
    closing_axis = axes[0] if dice.chance(0.7) else axes[1]
    closings = prose()["tones"][closing_axis]["high_closings" if tone[closing_axis] > 0 else "low_closings"]
    return words[0], words[1], dice.pick(closings)


def _lower(title_word: str) -> str:
    return title_word if title_word.startswith("the ") else title_word.lower()


def _title(premise: Premise, hero: Character, place: str, dice: Dice) -> tuple[str, str]:
    """Return (title, title of the first film of the collection)."""
    words = prose()["titles"]
    source = premise.themes[0] if dice.chance(0.72) or len(premise.themes) == 1 else premise.themes[1]
    noun = dice.pick(source.nouns)
    slots = {
        "noun": noun,
        "noun2": dice.pick([name for name in source.nouns if name != noun]),
        "nouns": plural(noun),
        "adj": dice.pick(words["adjectives"]),
        "time": dice.pick(words["times"]),
        "abstract": dice.pick(words["abstracts"]),
        "verb": dice.pick(words["verbs"]),
        "nature": dice.pick(words["nature"]),
        "number": dice.pick(words["numbers"]),
        "hero": hero.given,
        "hero_full": hero.full,
        "hero_family": hero.family,
        "place": sentence(place.removeprefix("the ")),
        "past": str(premise.year - 3 - dice.below(60)),
    }
    if premise.previous is not None:
        base = premise.previous.base_title
        third = premise.previous.title != base
        return dice.pick(words["trilogies" if third else "sequels"]).format(base=base, **slots), base
    pattern = dice.pick(words["patterns"])
    # One-word titles are rare and soon used up.
    if pattern == "{noun}" and dice.chance(0.6):
        pattern = "The {adj} {noun}"
    title = pattern.format(**slots)
    return title, title


def _original_title(premise: Premise, title: str, hero: Character, place: str, dice: Dice) -> str:
    patterns = prose()["original_titles"].get(premise.country.language)
    if patterns is None:
        return title
    return str(dice.pick(patterns).format(hero=hero.given, family=hero.family, place=place.removeprefix("the ")))


def _tagline(premise: Premise, hero: Character, place: str, dice: Dice) -> str:
    if dice.chance(0.12):
        return ""
    words: dict[str, Any] = prose()["taglines"]
    lines = words["genre"][dice.pick(premise.genres[:2])] if dice.chance(0.35) else words["generic"]
    abstract = dice.pick(prose()["titles"]["abstracts"])
    return sentence(
        dice.pick(lines).format(
            noun_l=_lower(dice.pick(premise.themes[0].nouns)),
            place=place,
            abstract=abstract,
            abstract_l=abstract.lower(),
            hero=hero.given,
        )
    )


def _keywords(premise: Premise, dice: Dice) -> tuple[str, ...]:
    # Editors tag the subject itself nearly always, its details now and then.
    chosen = []
    for place, theme in enumerate(premise.themes):
        subject, *details = theme.keywords
        chosen += [subject] if dice.chance(0.93) else []
        chosen += dice.some(details, (2 if place == 0 else 0) + dice.below(2))
    chosen = chosen or list(premise.themes[0].keywords[:1])
    if premise.previous is not None:
        chosen.append("sequel")
    return tuple(dict.fromkeys(chosen))


def _opening(premise: Premise, dice: Dice) -> str:
    if premise.genres[0] == "Documentary":
        return str(dice.pick(prose()["documentary_openings"]))
    if premise.previous is not None and dice.chance(0.8):
        return str(dice.pick(prose()["sequel_openings"]))
    return str(dice.pick(prose()["openings"]))


def _synopsis(premise: Premise, hero: Character, place: str, keywords: tuple[str, ...], dice: Dice) -> str:
    """Compose 40 to 90 words: opening, second character, turn, tone."""
    main, second = premise.themes[0], premise.themes[min(1, len(premise.themes) - 1)]
    ally = _character(premise.country, dice)
    mood, mood2, closing = _mood(premise.tone, dice)
    kind = dice.pick(prose()["kinds"][premise.genres[0]])
    # A story keeps to its places: the one of the title and one more.
    place2 = dice.pick([name for name in premise.country.places if name != place] or [place])
    common = {
        "place": place,
        "place2": sentence(place2),
        "hero": hero.given,
        "hero_full": hero.full,
        "ally": ally.given,
        "ally_full": ally.full,
        "ally_their": NOMINATIVE[ally.pronoun][2],
        "director": premise.director,
        "past": str(premise.year - 1 - dice.below(45)),
        "years": dice.pick(["two", "three", "five", "six", "eight", "ten"]),
        "chapters": dice.pick(["four", "five", "seven", "nine"]),
        "mood": mood,
        "Mood": sentence(mood),
        "mood2": mood2,
        "kind": kind,
        "a_kind": article(kind),
        "A_kind": sentence(article(kind)),
        "a_mood": article(mood),
        "A_mood": sentence(article(mood)),
        "kw1": keywords[0],
        "kw2": keywords[-1],
        "abstract_l": dice.pick(prose()["titles"]["abstracts"]).lower(),
        "previous": premise.previous.title if premise.previous else "",
    }
    when = dice.pick(prose()["whens"]).format(**common)
    role = dice.pick(_fitting_roles(main.roles, hero.pronoun)).format(**hero.slots())
    role2 = dice.pick(_fitting_roles(second.roles, ally.pronoun)).format(**ally.slots())
    slots = (
        common
        | hero.slots()
        | {
            "when": when,
            "When": sentence(when),
            "a_role": article(role),
            "A_role": sentence(article(role)),
            "b_role": article(role2),
        }
    )
    slots["hook"] = dice.pick(main.hooks).format(**slots)
    slots["hook2"] = dice.pick(second.hooks).format(**(slots | ally.slots()))
    summary, turn, turn2 = dice.pick(prose()["summaries"]), dice.pick(main.turns), dice.pick(second.turns)
    body = [_opening(premise, dice), dice.pick(prose()["relations"]), turn + "."]
    parts = [sentence(part.format(**slots)) for part in body]
    extras = [sentence(part.format(**slots)) for part in (summary, turn2 + ".", closing)]
    if dice.chance(0.5):
        extras = [extras[0], extras[2], extras[1]]
    elif dice.chance(0.3):
        extras = [extras[2], extras[1], extras[0]]
    return _fitted(parts, extras, dice)


def _fitted(parts: list[str], extras: list[str], dice: Dice) -> str:
    """Return the parts with as many extras as the length allows; a summary may also come first."""
    words = sum(len(part.split()) for part in parts)
    room = FEWEST_WORDS + 12 + dice.below(MOST_WORDS - FEWEST_WORDS - 12)
    kept: list[str] = []
    for extra in extras:
        length = len(extra.split())
        if words < FEWEST_WORDS or words + length <= room:
            kept.append(extra)
            words += length
    return " ".join(parts + kept)


def tell(premise: Premise, dice: Dice) -> Story:
    """Return the written film of a premise."""
    hero = premise.previous.hero if premise.previous is not None else _character(premise.country, dice)
    place = premise.previous.place if premise.previous is not None else dice.pick(premise.country.places)
    keywords = _keywords(premise, dice)
    title, base = _title(premise, hero, place, dice)
    return Story(
        title=title,
        original_title=_original_title(premise, title, hero, place, dice),
        tagline=_tagline(premise, hero, place, dice),
        synopsis=_synopsis(premise, hero, place, keywords, dice),
        keywords=keywords,
        collection=f"{base} Collection" if premise.previous is not None else "",
        hero=hero,
        base_title=base,
        place=place,
    )
