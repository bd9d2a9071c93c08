"""Users, events and system metrics: how they arrive, where they rest and how they are asked."""
