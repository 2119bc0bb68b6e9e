"""Initial weights: from signal theory, so that training need not learn them."""
