"""``python -m aegan``, the same as ``aegan``."""

import sys

from aegan.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
