"""Identity of a plug-in's code, so that a value is taken from the store only if the same code made it.

The code of a plug-in is its own module and every module that this one imports, directly or not, as far as these lie in
its own package, in netsim, or outside the installed packages. Other installed packages count by their versions. Imports
are read from the source: nothing is imported here.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import marshal
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from types import CodeType
from typing import Any

from netsim.digests import digest, file_sha256, files_sha256

__all__ = ["imported_versions", "package_identity", "source_identity"]

_INSTALLED = {"site-packages", "dist-packages"}
_NETSIM = {"netsim", "netcodecs"}  # their code counts where they are installed, too: two builds may have one version


def source_identity(plugin: Any, *modules: str) -> str:
    """Digest of a plug-in's code and of the data files beside it that the code names.

    Comments, docstrings and layout of the source do not count.

    Args:
        plugin: A class, a function, or an object (its class counts).
        modules: Modules that count too, e.g. the one that an entry point names.

    Returns:
        SHA-256 in hexadecimal.
    """
    definition = _definition(plugin)
    code = _code_of(definition, modules)
    sources = dict(code.sources)
    if code.without_file:  # not kept: what it refers to may change
        sources["__code__"] = _digest_of_functions(definition)
    return digest(sorted(sources.items()), sorted(code.data.items()))


def imported_versions(plugin: Any, *modules: str) -> dict[str, str]:
    """Versions of the installed packages that a plug-in's code imports, and of Python.

    Args:
        plugin: As for :func:`source_identity`.
        modules: As for :func:`source_identity`.

    Returns:
        {package: version}, with ``python``.
    """
    return _versions(_code_of(_definition(plugin), modules).installed) | {"python": platform.python_version()}


def package_identity(plugin: Any) -> dict[str, Any]:
    """What decides a plug-in's results as far as Python knows.

    Args:
        plugin: As for :func:`source_identity`.

    Returns:
        ``source``: digest of the code; ``package``: digest of the package's files that are not Python source, None for
        a module that stands alone; ``versions`` of what the code imports.
    """
    definition = _definition(plugin)
    return {**_package_identity(definition), "source": source_identity(definition)}


@functools.lru_cache(maxsize=256)
def _package_identity(definition: Any) -> dict[str, Any]:
    package = _package_folder(definition.__module__)
    return {
        "source": source_identity(definition),
        "package": None if package is None else files_sha256(package, _files_below(package)),
        "versions": imported_versions(definition),
    }


@dataclass(frozen=True)
class _Code:
    """What a plug-in consists of.

    sources: digest of each own module; data: digest of each data file named; installed: names of the other ones;
    without_file: typed in at a prompt, or made by `exec`.
    """

    sources: dict[str, str]
    data: dict[str, str]
    installed: frozenset[str]
    without_file: bool


_DYNAMIC = {"import_module", "__import__"}


@dataclass(frozen=True)
class _Module:
    """A source file: digest of its syntax tree, modules that it may import, strings that may name a file.

    dynamic: it imports modules whose names are made at run time.
    """

    digest: str
    imports: tuple[str, ...]
    names: frozenset[str]
    dynamic: bool = False


def _definition(plugin: Any) -> Any:
    while isinstance(plugin, functools.partial):
        plugin = plugin.func
    plugin = inspect.unwrap(plugin) if callable(plugin) else plugin
    return plugin if hasattr(plugin, "__qualname__") else type(plugin)


@functools.lru_cache(maxsize=256)
def _code_of(definition: Any, modules: tuple[str, ...]) -> _Code:
    """Kept for the definition's lifetime: a changed file counts once it is imported anew."""
    own = {name.partition(".")[0] for name in (definition.__module__, *modules)}
    sources: dict[str, str] = {}
    data: dict[str, str] = {}
    installed: set[str] = set()
    waiting = [definition.__module__, *modules]
    place, beside = functools.cache(_place), functools.cache(_data_files)
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in sources or top in sys.stdlib_module_names:
            continue
        path = place(name)
        if path is None:
            continue
        if top not in own | _NETSIM and _INSTALLED & set(path.parts):
            installed.add(top)
            continue
        if path.suffix != ".py":
            sources[name] = file_sha256(path)
            continue
        module = _read(str(path), name, path.stat().st_mtime_ns, path.stat().st_size)
        sources[name] = module.digest
        waiting += [*module.imports, *_parents(name)]
        if module.dynamic and top in own - {"netsim"}:  # netsim imports plug-ins so, not parts of one
            waiting += _modules_of(top)
        if module.names:
            package = _package_folder(name)
            for file in beside(path.parent if package is None else package, whole=package is not None):
                if file.name in module.names:
                    data[os.path.relpath(file, path.parent)] = file_sha256(file)
    return _Code(sources, data, frozenset(installed), place(definition.__module__) is None)


def _modules_of(top: str) -> Iterator[str]:
    """All modules of a package: any of them may be imported by a name made at run time."""
    folder = _package_folder(top)
    if folder is None:
        return
    for file in sorted(folder.rglob("*.py")):
        yield ".".join([top, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")


def _parents(name: str) -> Iterator[str]:
    """Packages around a module: their ``__init__`` runs before it."""
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _place(name: str) -> Path | None:
    """The file of a module, found without importing it; None if it has none."""
    top, *rest = name.split(".")
    if top == "__main__":
        file = getattr(sys.modules.get("__main__"), "__file__", None)
        return Path(file) if file and Path(file).is_file() and not rest else None
    try:
        spec = find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not rest:
        path = Path(spec.origin) if spec.has_location and spec.origin else None
        return path if path is not None and path.is_file() else None
    for folder in folders:
        for found in _candidates(folder.joinpath(*rest)):
            if found.is_file():
                return found
    return None


def _candidates(stem: Path) -> Iterator[Path]:
    yield stem / "__init__.py"
    for suffix in (".py", *EXTENSION_SUFFIXES):
        yield stem.with_name(stem.name + suffix)


@functools.lru_cache(maxsize=4096)
def _read(path: str, name: str, changed_ns: int, size_bytes: int) -> _Module:
    content = Path(path).read_bytes()
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return _Module(hashlib.sha256(content).hexdigest(), (), frozenset())
    is_package = Path(path).name == "__init__.py"
    package = name if is_package else name.rpartition(".")[0]
    imports = tuple(sorted(set(_imports(tree, package))))
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    names = frozenset(Path(text).name for text in strings if "." in text and len(text) < 256 and "\0" not in text)
    called = {getattr(node, "attr", getattr(node, "id", "")) for node in ast.walk(tree)}
    _drop_docstrings(tree)
    code = hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()
    return _Module(code, imports, names, dynamic=bool(called & _DYNAMIC))


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Absolute names that a module's import statements may refer to; some are not modules."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue  # never run
        yield from _imports(node, package)
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                start = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*start, *([node.module] if node.module else [])])
            if base:
                yield base
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _drop_docstrings(tree: ast.AST) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                del node.body[0]


def _digest_of_functions(definition: Any) -> str:
    """Of code that lies in no file: compiled functions, plain values, and what they refer to by name."""
    parts: list[str] = []
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [(definition.__qualname__, definition)]
    while waiting:
        name, value = waiting.pop()
        value = getattr(value, "__func__", getattr(value, "fget", value))  # class methods, properties
        if id(value) in seen:
            continue
        code = getattr(value, "__code__", None)
        if isinstance(code, CodeType):
            seen.add(id(value))
            parts.append(f"{name} {hashlib.sha256(marshal.dumps(code)).hexdigest()}")
            parts.append(f"{getattr(value, '__defaults__', None)!r} {getattr(value, '__kwdefaults__', None)!r}")
            waiting += [(f"{name}.{key}", cell.cell_contents) for key, cell in _cells(value)]
            scope = value.__globals__ if _place(value.__module__) is None else {}
            waiting += [(key, scope[key]) for key in sorted(_names_in(code)) if key in scope]
        elif isinstance(value, type) and _place(value.__module__) is None and value.__module__ != "builtins":
            seen.add(id(value))
            members = [(key, of) for key, of in vars(value).items() if not key.startswith("__") or callable(of)]
            waiting += [(f"{name}.{key}", member) for key, member in members]
            waiting += [(base.__qualname__, base) for base in value.__bases__]
            parts.append(name)
        elif isinstance(value, bool | int | float | complex | str | bytes | tuple | list | dict | set | None):
            parts.append(f"{name} {sorted(value, key=repr) if isinstance(value, set) else value!r}")
        elif hasattr(value, "tobytes"):  # an array
            parts.append(f"{name} {hashlib.sha256(value.tobytes()).hexdigest()}")
    return digest(sorted(parts))


def _names_in(code: CodeType) -> set[str]:
    """Names that a code refers to, functions inside it included."""
    inside = [_names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inside)


def _cells(function: Any) -> Iterator[tuple[str, Any]]:
    """A closure's variables that have a value."""
    names = getattr(function, "__code__", None)
    for name, cell in zip(
        names.co_freevars if names else (), getattr(function, "__closure__", None) or (), strict=True
    ):
        with suppress(ValueError):
            _ = cell.cell_contents
            yield name, cell


def _package_folder(module: str) -> Path | None:
    """The folder of the outermost package around a module; None for a module that stands alone."""
    top = _place(module.partition(".")[0])
    return top.parent if top is not None and top.name == "__init__.py" else None


def _data_files(folder: Path, *, whole: bool) -> list[Path]:
    """Files in the folder of a module, or anywhere in that of its package, that are not Python source."""
    if whole:
        return _files_below(folder)
    return [path for path in folder.iterdir() if path.suffix != ".py" and path.is_file()]


def _files_below(folder: Path) -> list[Path]:
    """Without Python source, caches, hidden files, and folders of runs that somebody keeps there."""
    found: list[Path] = []
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        if any(entry.name == "manifest.json" for entry in inside):
            continue
        for entry in inside:
            if entry.name.startswith(".") or entry.name == "__pycache__":
                continue
            if entry.is_symlink() and not os.path.exists(entry.path):  # to nothing, or to itself
                continue
            if entry.is_dir():
                waiting.append(entry.path)
            elif entry.is_file() and not entry.name.endswith((".py", ".pyc", ".sqlite")):
                found.append(Path(entry.path))
    return found


@functools.lru_cache(maxsize=256)
def _versions(modules: frozenset[str]) -> dict[str, str]:
    """Version of the distribution of each top-level module."""
    found: dict[str, str] = {}
    for name in sorted(modules):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            for distribution in _distributions().get(name, []):
                found[distribution] = version(distribution)
    return found


@functools.cache
def _distributions() -> Any:
    return packages_distributions()
