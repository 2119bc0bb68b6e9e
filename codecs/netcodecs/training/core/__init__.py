"""What every training run has: images, optimisers, checkpoints, the loop."""
