"""Audits of bias, privacy and integrity by synthetic personas, whose attributes no recommender can reach."""
