import subprocess
import sys

CHECK = """
import sys
import finetune_api.manifest
heavy = {"torch", "transformers", "datasets", "kopf", "kubernetes", "torchx", "numpy"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_the_api_imports_nothing_heavy() -> None:
    result = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
