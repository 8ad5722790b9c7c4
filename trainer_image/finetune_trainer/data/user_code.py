"""Imports the user's own modules, once, and shows their tracebacks without our frames."""

import importlib
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from finetune_api.errors import PreprocessingFailed

_OURS = Path(__file__).parents[1]
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})


@contextmanager
def user_modules(code_dir: Path | None) -> Iterator[None]:
    """Let modules be imported from the code directory and the working directory, before PYTHONPATH.

    The user's modules are forgotten at the end, so that the next configuration of this process gets its own.
    """
    path, loaded = list(sys.path), set(sys.modules)
    sys.path[:0] = [str(root) for root in search_roots(code_dir)]
    roots = [Path(entry).absolute() for entry in sys.path if not entry.startswith(_LIBRARIES)]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - loaded:
            if _is_users(sys.modules[name], roots):
                del sys.modules[name]


def search_roots(code_dir: Path | None) -> list[Path]:
    """Return where a user's module is looked for first, before PYTHONPATH."""
    roots = [Path.cwd()] if code_dir is None else [code_dir.absolute(), Path.cwd()]
    return list(dict.fromkeys(roots))


def import_function(spec: str, code_dir: Path | None) -> Callable[[dict[str, Any]], object]:
    """Return the function that `module:function` names; raise PreprocessingFailed saying what is missing."""
    module_name, _, function_name = spec.partition(":")
    found: Any = _import_module(module_name, spec, code_dir)
    for part in function_name.split("."):
        if not hasattr(found, part):
            raise _no_such_function(found, part, spec)
        found = getattr(found, part)
    if not callable(found):
        raise PreprocessingFailed(f"preprocessing_fn {spec}: this is a {type(found).__name__}, not a function.")
    return found  # type: ignore[no-any-return]


def user_traceback(error: BaseException) -> str:
    """Return the traceback with the frames of the user's code only."""
    summary = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = summary
    while link is not None:
        theirs = [frame for frame in link.stack if not frame.filename.startswith((str(_OURS), "<frozen"))]
        own = [frame for frame in theirs if not frame.filename.startswith(_LIBRARIES)]
        link.stack = traceback.StackSummary.from_list(own or theirs)
        link = link.__cause__ or link.__context__
    return "".join(summary.format())


def user_line(error: BaseException) -> str | None:
    """Return the innermost line of the user's code that the error passed, as `FILE, line N: CODE`."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith((str(_OURS), "<frozen", *_LIBRARIES))]
    if not theirs:
        return None
    return f"{Path(theirs[-1].filename).name}, line {theirs[-1].lineno}: {theirs[-1].line}"


def _import_module(name: str, spec: str, code_dir: Path | None) -> ModuleType:
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise _no_such_module(name, spec, code_dir) from None
        raise _broken_module(error, spec) from error
    except (Exception, SystemExit) as error:
        raise _broken_module(error, spec) from error
    _check_not_shadowed(module, name, spec, code_dir)
    return module


def _check_not_shadowed(module: ModuleType, name: str, spec: str, code_dir: Path | None) -> None:
    relative = Path(*name.split("."))
    candidates = ((root / relative).with_suffix(".py") for root in search_roots(code_dir))
    wanted = next((path for path in candidates if path.is_file()), None)
    if wanted and module.__file__ and Path(module.__file__).resolve() != wanted.resolve():
        raise PreprocessingFailed(
            f"preprocessing_fn {spec}: {wanted} is hidden by another module {name} ({module.__file__}).",
            hint="Give the file another name.",
        )


def _no_such_module(name: str, spec: str, code_dir: Path | None) -> PreprocessingFailed:
    roots = search_roots(code_dir)
    modules = sorted({path.stem for root in roots for path in root.glob("*.py")})
    stem = name.removesuffix(".py")
    close = get_close_matches(stem, modules, 1)
    hint = "Put the module into one of these directories."
    if close:
        hint = f"Did you mean {close[0]}:{spec.partition(':')[2]}?"
    places = ", ".join(map(str, roots))
    return PreprocessingFailed(
        f"preprocessing_fn {spec}: there is no module {name} in {places} or on PYTHONPATH.", hint=hint
    )


def _no_such_function(owner: object, name: str, spec: str) -> PreprocessingFailed:
    existing = [key for key, value in vars(owner).items() if callable(value) and not key.startswith("_")]
    close = get_close_matches(name, existing, 1)
    has = f"It has {', '.join(existing)}." if existing else "It defines no function."
    where = f" ({owner.__file__})" if isinstance(owner, ModuleType) and owner.__file__ else ""
    return PreprocessingFailed(
        f"preprocessing_fn {spec}: the module{where} has no function {name!r}.",
        hint=f"Did you mean {close[0]}?" if close else has,
    )


def _broken_module(error: BaseException, spec: str) -> PreprocessingFailed:
    return PreprocessingFailed(
        f"preprocessing_fn {spec}: importing the module raised {type(error).__name__}: {error}",
        user_traceback=user_traceback(error),
    )


def _is_users(module: ModuleType | None, roots: list[Path]) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or module is None or module.__name__.startswith("finetune_"):
        return False
    return "site-packages" not in file and any(Path(file).is_relative_to(root) for root in roots)
