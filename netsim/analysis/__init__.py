"""What is computed from a run: summaries, paired differences, the worth of packets, winner maps."""
