"""Measurements of speed and precision, to be run by hand; each module says what it measured."""
