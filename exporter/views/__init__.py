"""What the outside may see: pure functions of the snapshots."""
