"""`python -m streamdeid` is `streamdeid`."""

from streamdeid.cli.main import main

main(prog_name="streamdeid")
