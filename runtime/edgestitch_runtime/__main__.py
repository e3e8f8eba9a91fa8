"""`python -m edgestitch_runtime` is the command `edgestitch`."""

import sys

from .cli import script

if __name__ == "__main__":
    sys.exit(script())
