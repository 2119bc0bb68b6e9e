"""What is computed from a run: summaries, paired differences, the importance of packets, winner maps."""
