"""What sentences, reports and pages call what plans and findings name, in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from audit.plan import CROSS
from recommender.block_names import BLOCK_NAMES

MEASURES: Final = {
    "reach": "Reached by the films",
    "exposure": "Exposure of the films",
    "precision_at_k": "Precision of the slate",
    "hit_rate": "Hit rate",
    "calibration_kl": "Miscalibration of genres",
    "exposure_per_relevance": "Exposure per relevance",
    "pairwise_accuracy": "Pairwise accuracy",
    "any_difference": "Any difference between groups",
    "arp": "Average popularity of the films shown (ARP)",
    "aplt": "Share of the long tail in slates (APLT)",
    "gini": "Concentration of exposure (Gini)",
    "coverage": "Share of films shown to anybody (coverage)",
    "tail_coverage": "Share of the long tail shown to anybody (tail coverage)",
}
AXES: Final = {
    "name_origin": "Origin of the name",
    "gender": "Gender",
    "age_band": "Age",
    "region": "Region",
    "market": "Market",
    "premium": "Premium",
    "cast_origin": "Origin of the cast",
    "origin_country": "Country of origin",
    "language": "Language",
    "studio_size": "Size of the studio",
    "era": "Era",
    "index": "Index",
}
BLOCKS: Final = {**BLOCK_NAMES, "all": "The whole user vector"}
PANELS: Final = {
    "personas": "synthetic personas with identical histories",
    "matched": "synthetic personas matched by taste",
    "observed": "the catalogue's pseudonymous users",
}
WITHHELD: Final = "withheld"


def measure(name: str, k: int | None = None) -> str:
    """Return a measure in words; with the length of the slate where it says more.

    Example:
        >>> measure("precision_at_k", 5)
        'Precision of the slate (at 5)'
    """
    words = MEASURES.get(name, sentence(name))
    return f"{words} (at {k})" if k is not None and name == "precision_at_k" else words


def axis(name: str) -> str:
    """Return an axis in words, an intersection joined.

    Example:
        >>> axis("name_origin × gender")
        'Origin of the name × Gender'
    """
    return CROSS.join(AXES.get(part, sentence(part)) for part in name.split(CROSS))


def inside(name: str) -> str:
    """Return an axis as it stands inside a sentence.

    Example:
        >>> inside("name_origin")
        'origin of the name'
    """
    words = axis(name)
    return words[:1].lower() + words[1:]


def group(name: str) -> str:
    """Return a group as it is read.

    Example:
        >>> group("east_asian")
        'east asian'
    """
    return name.replace("_", " ")


def block(name: str) -> str:
    """Return a block in words."""
    return BLOCKS.get(name, sentence(name))


def figure(row: Mapping[str, Any], k: int | None = None) -> str:
    """Return what one figure is of: measure, film group, group and reference.

    Example:
        >>> figure({"measure": "hit_rate", "film_axis": "", "group": "women", "reference": "men"})
        'Hit rate: women against men'
    """
    if not row["reference"]:  # one test of all groups together: what it is of stands as its group
        return f"{measure(row['measure'])}: {measure(row['group'], k)}"
    films = f" ({axis(row['film_axis'])}: {group(row['film_group'])})" if row["film_axis"] else ""
    return f"{measure(row['measure'], k)}{films}: {group(row['group'])} against {group(row['reference'])}"


def sentence(name: str) -> str:
    """Return an identifier with spaces and a capital."""
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def listing(words: Sequence[str], most: int = 5) -> str:
    """Join words as a sentence does, the rest counted.

    Example:
        >>> listing(["a", "b", "c"]), listing(["a", "b", "c"], 1)
        ('a, b and c', 'a and 2 more')
    """
    shown = list(words[:most])
    if len(words) > most:
        shown.append(f"{len(words) - most:,} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}" if shown else ""


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "film"), counted(1200, "film")
        ('1 film', '1,200 films')
    """
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
