"""From films and interactions to slates that can be explained, replayed and evaluated."""
