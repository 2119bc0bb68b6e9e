"""Initial weights: what signal theory knows, so that training need not learn it."""
