"""``python -m minilora``: the same as the command ``minilora``."""

import sys

from minilora.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
