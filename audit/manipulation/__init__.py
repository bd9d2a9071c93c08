"""Metadata made for the recommender rather than for its readers: found by its signs, held for somebody to look at."""
