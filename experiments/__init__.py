"""Experiments: who is in which, what was measured, and the verdict by a rule fixed before launch."""
