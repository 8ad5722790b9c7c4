"""The entry point of the `finetune` command."""

import sys

_EXTRA = "this command needs the cli extra: pip install 'finetune-operator[cli]'"


def main() -> None:
    """Run the command line; a missing cli extra and an early Ctrl-C end it without a traceback."""
    try:
        from finetune_cli.app import app

        app()
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "click", "rich"):
            raise
        print(f"finetune: {error.name} is not installed; {_EXTRA}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)  # as for an interrupted run; importing the table of codes is what was interrupted
