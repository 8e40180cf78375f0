"""`python -m flows.cli`: the command line where no script of it is on the path."""

from flows.cli import main

main()
