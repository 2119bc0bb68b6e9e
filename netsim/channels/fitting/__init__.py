"""Channels from recorded losses: maximum likelihood, comparison of families, and how well a channel fits."""
