"""``inspector completion``: a script that lets a shell complete our options."""

import argparse

from inspector.cli.parser import complete_parser


def run(options: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    print(shtab.complete(complete_parser(), shell=options.shell))
    return 0
