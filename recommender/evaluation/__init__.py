"""How good recommendations are: protocols, figures per user, baselines, fitted weights, comparisons."""
