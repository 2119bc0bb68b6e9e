"""Training of ResiComp: transforms and Transformer together."""
