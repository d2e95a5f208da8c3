"""``python -m velora``: the ``velora`` command."""

import sys

from velora.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
