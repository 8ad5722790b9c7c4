import json
import subprocess
import sys
from pathlib import Path

import pytest

from finetune_trainer.data.fingerprint import (
    code_identity,
    hub_commit,
    template_gives_date,
    tokenizer_identity,
)
from support.models import tiny_tokenizer


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "code/pack").mkdir(parents=True)
    (tmp_path / "code/rows.py").write_text("import helper\n")
    (tmp_path / "code/helper.py").write_text("LIMIT = 1\n")
    (tmp_path / "code/pack/deep.py").write_text("")
    return tmp_path / "code"


def test_every_module_of_the_code_directory_counts(code: Path) -> None:
    before = code_identity("rows:pair", code)
    assert set(before) == {"rows.py", "helper.py", "pack/deep.py"}
    (code / "helper.py").write_text("LIMIT = 2\n")
    assert code_identity("rows:pair", code) != before


def test_the_code_directory_counts_when_the_function_lies_elsewhere(code: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.py").write_text("")
    assert {"elsewhere.py", "helper.py"} <= set(code_identity("elsewhere:pair", code))


def test_modules_beside_the_function_count_without_a_code_directory(
    code: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(code)
    assert set(code_identity("rows:pair", None)) == {"rows.py", "helper.py", "pack/deep.py"}


def test_environments_caches_and_hidden_directories_do_not_count(code: Path) -> None:
    for directory in (".hidden", "__pycache__", "env/lib/site-packages"):
        (code / directory).mkdir(parents=True)
        (code / directory / "module.py").write_text("")
    (code / "env/pyvenv.cfg").write_text("")
    assert set(code_identity("rows:pair", code)) == {"rows.py", "helper.py", "pack/deep.py"}


def test_a_tokenizer_is_its_files_wherever_they_lie(tmp_path: Path) -> None:
    one, two = (tiny_tokenizer(tmp_path / name) for name in ("one", "two"))
    assert tokenizer_identity(str(one), {}) == tokenizer_identity(str(two), {})
    (two / "tokenizer_config.json").write_text('{"eos_token": "x"}')
    assert tokenizer_identity(str(one), {}) != tokenizer_identity(str(two), {})
    assert tokenizer_identity(str(one), {}) != tokenizer_identity(str(one), {"add_bos_token": True})


def test_weights_and_the_models_own_settings_are_no_part_of_a_tokenizer(tmp_path: Path) -> None:
    directory = tiny_tokenizer(tmp_path)
    (directory / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 2}))
    before = tokenizer_identity(str(directory), {})
    (directory / "config.json").write_text(json.dumps({"model_type": "gpt2", "n_layer": 3}))
    (directory / "model.safetensors").write_bytes(b"weights")
    (directory / "generation_config.json").write_text("{}")
    assert tokenizer_identity(str(directory), {}) == before


def test_a_hub_name_stands_for_the_commit_in_the_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert hub_commit("models", "openai/gpt2", None) is None
    assert hub_commit("models", "openai/gpt2", "abc") == "abc"
    reference = tmp_path / "models--openai--gpt2/refs/main"
    reference.parent.mkdir(parents=True)
    reference.write_text("0123")
    assert hub_commit("models", "openai/gpt2", None) == "0123"
    assert tokenizer_identity("openai/gpt2", {})["commit"] == "0123"


@pytest.mark.parametrize("place", ["tokenizer_config.json", "chat_template.jinja", "kwargs"])
def test_a_template_that_writes_the_date_is_found_wherever_it_is(tmp_path: Path, place: str) -> None:
    directory = tiny_tokenizer(tmp_path)
    assert not template_gives_date(str(directory), {})
    template = "{{ strftime_now('%d') }}"
    if place == "kwargs":
        assert template_gives_date(str(directory), {"chat_template": template})
    else:
        (directory / place).write_text(json.dumps({"chat_template": template}))
        assert template_gives_date(str(directory), {})


def test_the_fingerprint_imports_no_library() -> None:
    source = (
        "import sys, finetune_trainer.data, finetune_trainer.data.recipe as r\n"
        "print(sorted({'torch', 'transformers', 'datasets', 'pyarrow', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
