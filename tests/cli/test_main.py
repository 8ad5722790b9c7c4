import subprocess
import sys


def test_without_the_cli_extra_the_message_names_it() -> None:
    code = "import sys; sys.modules['typer'] = None; from finetune_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "finetune: typer is not installed; this command needs the cli extra: " + (
        "pip install 'finetune-operator[cli]'\n"
    )


def test_the_version_is_told() -> None:
    code = "import sys; sys.argv[1:] = ['--version']; from finetune_cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()[0]) == (0, "finetune")
