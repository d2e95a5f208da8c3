"""Train an agent: ``velora train`` under the name that Hydra's users expect. ``--help`` lists every setting."""

import sys

from velora.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
