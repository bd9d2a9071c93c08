"""Goals, drift, alerts and reliability of the running recommender, market by market."""
