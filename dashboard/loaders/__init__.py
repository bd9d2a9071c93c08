"""What the pages show, computed once: bounded caches over the engine, whose only callers in the console these are."""
