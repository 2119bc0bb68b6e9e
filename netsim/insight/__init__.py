"""What a table of masks tells beyond a run: paired differences, the worth of each packet, which scheme wins where."""
