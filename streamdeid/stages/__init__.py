"""Room 2: frames → observations."""
