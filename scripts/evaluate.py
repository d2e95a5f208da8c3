"""Evaluate a saved agent: ``velora evaluate``. ``--help`` lists every setting."""

import sys

from velora.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
