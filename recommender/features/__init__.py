"""Film features as named blocks of one vector, each explainable on its own."""
