"""Train an agent on a game that changes as it plays: ``python train.py --help``."""

import sys

from dqn_mer.commands.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
