"""Training of more blocks for the g_s of all methods of paper 1."""
