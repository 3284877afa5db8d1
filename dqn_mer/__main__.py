"""``python -m dqn_mer COMMAND``: train, evaluate, watch, play."""

import sys

from dqn_mer.commands.cli import main

if __name__ == "__main__":
    sys.exit(main())
