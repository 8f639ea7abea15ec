"""Runs that are watched while they go on: nobody else in the engine knows of them."""
