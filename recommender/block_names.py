"""What people call the terms of a score: the blocks of a film vector, and what a re-rank adds."""

from typing import Final

BLOCK_NAMES: Final = {
    "text": "Story and tone",
    "genre": "Genres",
    "keyword": "Keywords",
    "people": "Cast and crew",
    "collection": "Series",
    "origin": "Country and language",
    "era": "Era",
    "runtime": "Length",
    "age": "Age rating",
    "acclaim": "Acclaim over all time",
    "quality": "How well it is liked",
    "popularity": "Popularity at the time",
    "recency": "Newness",
    "audience": "Viewers with similar histories",
    "closest_film": "Closest film seen",
    "diversity": "Variety in the slate",
}
