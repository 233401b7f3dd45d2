"""What Redis says of itself."""
