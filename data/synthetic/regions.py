"""Where users live: regions are ISO 3166 country codes, markets are what the platform steers by."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A jurisdiction with its market, its share of users and the film countries its people know best."""

    code: str
    market: str
    share: float
    home_countries: tuple[str, ...]


REGIONS: Final = (
    Region(code="US", market="north_america", share=0.34, home_countries=("US",)),
    Region(code="CA", market="north_america", share=0.08, home_countries=("CA", "US")),
    Region(code="GB", market="western_europe", share=0.14, home_countries=("GB", "IE")),
    Region(code="FR", market="western_europe", share=0.09, home_countries=("FR",)),
    Region(code="DE", market="western_europe", share=0.10, home_countries=("DE", "AT")),
    Region(code="ES", market="western_europe", share=0.05, home_countries=("ES", "MX", "AR")),
    Region(code="NL", market="western_europe", share=0.04, home_countries=("NL",)),
    Region(code="KZ", market="central_asia", share=0.08, home_countries=("KZ", "RU")),
    Region(code="UZ", market="central_asia", share=0.05, home_countries=("UZ", "TR")),
    Region(code="KG", market="central_asia", share=0.03, home_countries=("KZ", "RU")),
)
"""Shares sum to one."""

REGION_CODES: Final = tuple(region.code for region in REGIONS)
MARKETS: Final = tuple(dict.fromkeys(region.market for region in REGIONS))

RATING_LADDERS: Final[dict[str, tuple[tuple[str, int], ...]]] = {
    "MPA": (("G", 0), ("PG", 8), ("PG-13", 13), ("R", 17), ("NC-17", 18)),
    "CHVRS": (("G", 0), ("PG", 8), ("14A", 14), ("18A", 18), ("R", 18)),
    "BBFC": (("U", 0), ("PG", 8), ("12A", 12), ("15", 15), ("18", 18)),
    "IFCO": (("G", 0), ("PG", 8), ("12A", 12), ("15A", 15), ("18", 18)),
    "ACB": (("G", 0), ("PG", 8), ("M", 15), ("MA15+", 15), ("R18+", 18)),
    "CNC": (("TP", 0), ("TP", 0), ("12", 12), ("16", 16), ("18", 18)),
    "FSK": (("0", 0), ("6", 6), ("12", 12), ("16", 16), ("18", 18)),
    "JMK": (("0", 0), ("6", 6), ("12", 12), ("16", 16), ("16", 16)),
    "ICAA": (("A", 0), ("7", 7), ("12", 12), ("16", 16), ("18", 18)),
    "RTC": (("AA", 0), ("A", 0), ("B", 12), ("B15", 15), ("C", 18)),
    "INCAA": (("ATP", 0), ("ATP", 0), ("SAM13", 13), ("SAM16", 16), ("SAM18", 18)),
    "MiC": (("T", 0), ("6+", 6), ("14+", 14), ("14+", 14), ("18+", 18)),
    "EIRIN": (("G", 0), ("PG12", 12), ("PG12", 12), ("R15+", 15), ("R18+", 18)),
    "KMRB": (("ALL", 0), ("ALL", 0), ("12", 12), ("15", 15), ("19", 19)),
    "CO": (("I", 0), ("IIA", 8), ("IIA", 8), ("IIB", 16), ("III", 18)),
    "CBFC": (("U", 0), ("UA 7+", 7), ("UA 13+", 13), ("UA 16+", 16), ("A", 18)),
    "RARS": (("0+", 0), ("6+", 6), ("12+", 12), ("16+", 16), ("18+", 18)),
    "KZ": (("K", 0), ("B", 12), ("B14", 14), ("E16", 16), ("E18", 18)),
    "UZ": (("0+", 0), ("6+", 6), ("12+", 12), ("16+", 16), ("18+", 18)),
    "TR": (("G", 0), ("6+", 6), ("10+", 10), ("16+", 16), ("18+", 18)),
    "NFVCB": (("G", 0), ("PG", 8), ("12", 12), ("15", 15), ("18", 18)),
    "ClassInd": (("L", 0), ("10", 10), ("12", 12), ("16", 16), ("18", 18)),
    "SMR": (("BTL", 0), ("7", 7), ("11", 11), ("15", 15), ("15", 15)),
    "MCCYP": (("A", 0), ("7", 7), ("11", 11), ("15", 15), ("15", 15)),
    "Kijkwijzer": (("AL", 0), ("6", 6), ("12", 12), ("16", 16), ("18", 18)),
    "none": (),
}
"""Certificates of each rating system, mildest first: (label, minimum age in years). ``none`` issues no certificate."""
