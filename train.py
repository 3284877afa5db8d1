"""Train an agent on a game that changes as it plays: ``python train.py --help``."""

import sys

from dqn_mer.commands.cli import train_command

if __name__ == "__main__":
    sys.exit(train_command(sys.argv[1:]))
