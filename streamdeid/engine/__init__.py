"""Room 7: who runs, when."""
