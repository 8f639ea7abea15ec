"""Room 8: words → calls. The only home of click."""
