import sys
from pathlib import Path

import pytest

from finetune_api.errors import PreprocessingFailed
from finetune_trainer.data.user_code import import_function, user_modules

FUNCTION = "def pair(record):\n    return {}\n"


@pytest.fixture(autouse=True)
def _working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def write(path: Path, source: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)


def origin_of(spec: str, code_dir: Path | None) -> str:
    with user_modules(code_dir):
        return import_function(spec, code_dir).__code__.co_filename


def test_a_module_is_found_in_code_directory_working_directory_and_pythonpath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "path")
    write(tmp_path / "path/rows.py", FUNCTION)
    assert origin_of("rows:pair", tmp_path / "code") == str(tmp_path / "path/rows.py")
    write(tmp_path / "here/rows.py", FUNCTION)
    assert origin_of("rows:pair", tmp_path / "code") == str(tmp_path / "here/rows.py")
    write(tmp_path / "code/rows.py", FUNCTION)
    assert origin_of("rows:pair", tmp_path / "code") == str(tmp_path / "code/rows.py")


def test_a_module_in_a_package_is_found(tmp_path: Path) -> None:
    write(tmp_path / "code/pack/rows.py", FUNCTION)
    assert origin_of("pack.rows:pair", tmp_path / "code").endswith("pack/rows.py")


def test_a_module_is_imported_once_for_all_datasets(tmp_path: Path) -> None:
    log = tmp_path / "log"
    source = f"with open({str(log)!r}, 'a') as f:\n    f.write('x')\n{FUNCTION}\nother = pair\n"
    write(tmp_path / "here/rows.py", source)
    with user_modules(None):
        for spec in ("rows:pair", "rows:other", "rows:pair"):
            import_function(spec, None)
    assert log.read_text() == "x"


def test_the_next_configuration_gets_its_own_modules_and_helpers(tmp_path: Path) -> None:
    path = list(sys.path)
    for value in (1, 2):
        code = tmp_path / f"code{value}"
        write(code / "rows.py", "import helper\n\ndef pair(record):\n    return helper.VALUE\n")
        write(code / "helper.py", f"VALUE = {value}\n")
        with user_modules(code):
            assert import_function("rows:pair", code)({}) == value
    assert "helper" not in sys.modules
    assert sys.path == path


def test_libraries_that_the_users_module_imports_stay(tmp_path: Path) -> None:
    sys.modules.pop("colorsys", None)
    write(tmp_path / "here/rows.py", f"import colorsys\n{FUNCTION}")
    with user_modules(None):
        import_function("rows:pair", None)
    assert "colorsys" in sys.modules


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("row:pair", r"there is no module row in .*here or on PYTHONPATH. Did you mean rows:pair\?"),
        ("rows.py:pair", r"there is no module rows.py in .* Did you mean rows:pair\?"),
        ("elsewhere:pair", "there is no module elsewhere in .*Put the module into one of these"),
        ("rows:pear", r"rows.py\) has no function 'pear'. Did you mean pair\?"),
        ("rows:zzz", r"has no function 'zzz'. It has pair"),
        ("rows:LIMIT", "this is a int, not a function"),
        ("broken:pair", "importing the module raised ModuleNotFoundError: No module named 'absent_package'"),
        ("syntax:pair", "importing the module raised SyntaxError"),
        ("leaving:pair", "importing the module raised SystemExit"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, spec: str, said: str) -> None:
    write(tmp_path / "here/rows.py", f"LIMIT = 3\n{FUNCTION}")
    write(tmp_path / "here/broken.py", "import absent_package\n")
    write(tmp_path / "here/syntax.py", "def pair(:\n")
    write(tmp_path / "here/leaving.py", "raise SystemExit(3)\n")
    with user_modules(None), pytest.raises(PreprocessingFailed, match=said):
        import_function(spec, None)


def test_a_module_that_fails_to_import_shows_the_users_line(tmp_path: Path) -> None:
    write(tmp_path / "here/broken.py", "LIMIT = 3\nimport absent_package\n")
    with user_modules(None), pytest.raises(PreprocessingFailed) as raised:
        import_function("broken:pair", None)
    assert raised.value.user_traceback is not None
    assert raised.value.user_traceback.count("  File ") == 1
    assert 'broken.py", line 2' in raised.value.user_traceback


def test_a_file_named_like_a_library_is_not_silently_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "here/json.py", FUNCTION)
    with user_modules(None), pytest.raises(PreprocessingFailed, match=r"hidden by another module json .*another name"):
        import_function("json:pair", None)
