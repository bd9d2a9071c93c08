"""Which market a region belongs to: a small table beside the events, changed by the operator."""

import json
from pathlib import Path
from typing import Final

from workspace.errors import IntegrityError

FILE: Final = "regions.json"
DEFAULT: Final = {
    "US": "north_america",
    "CA": "north_america",
    "GB": "western_europe",
    "FR": "western_europe",
    "DE": "western_europe",
    "ES": "western_europe",
    "NL": "western_europe",
    "KZ": "central_asia",
    "UZ": "central_asia",
    "KG": "central_asia",
}


def read_markets(folder: Path) -> dict[str, str]:
    """Return the market of each region.

    Args:
        folder: Where telemetry is kept; without a file there, the markets of the source document hold.

    Raises:
        IntegrityError: When the file is not a JSON object of texts.
    """
    path = folder / FILE
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return DEFAULT
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{path} can't be read: {error}", hint="write it as {{region: market}}") from error
    if not isinstance(found, dict) or not found or not all(isinstance(market, str) for market in found.values()):
        raise IntegrityError(f"{path} holds no markets", "must be a JSON object of region and market")
    return found
