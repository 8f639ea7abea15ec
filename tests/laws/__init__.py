"""One suite of laws for each protocol, run by every class that fulfils it."""
