"""What a trainable imports while it runs, found before and without running it.

The instructions of its code are read in order, and functions of the user's where they are named::

    def train(config):
        import sklearn.svm              found
        data = load_data()        --->  def load_data():
                                            import pandas         found
        from helpers import build --->  a module of the user's: its file is read
        os.environ["THREADS"] = "4"     the end: what follows may depend on it
        import numpy                    not found

Modules of libraries are found. One of the user's may depend on the trial: on its directory, its
environment, its random numbers. So each trial runs it, and finds its libraries loaded.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections import ChainMap
from collections.abc import Mapping
from opcode import opmap
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from localtune.trainable.function_trainable import FunctionTrainable
from localtune.trainable.parameters import Parameters
from localtune.utils.user_code import methods_of, unwrapped

if TYPE_CHECKING:
    from dis import Instruction
    from importlib.machinery import ModuleSpec

# (module, names that are imported from it)
Import: TypeAlias = "tuple[str, tuple[str, ...]]"

_MOST_CODES = 300
# An import behind a use of one of these may depend on it.
_CHANGES = {
    "addsitedir",
    "chdir",
    "environb",
    "fchdir",
    "load_dotenv",
    "patch_all",
    "putenv",
    "sched_setaffinity",
    "set_start_method",
    "unsetenv",
}
# Likewise, unless they are read only.
_STATE = {"environ"}
_STATE_OF_SYS = {"meta_path", "modules", "path", "path_hooks"}
_TELLTALES = {*_CHANGES, *_STATE, "sys"}
_READS = {"get", "items", "keys", "values", "copy"}
# They are large, and a trial may not take the branch.
_NOT_IN_BRANCHES = {
    "cudf",
    "cuml",
    "cupy",
    "jax",
    "keras",
    "mxnet",
    "paddle",
    "pycuda",
    "tensorflow",
    "torch",
}
# The program itself installs the stand-in for Ray, which loads fast.
_NEVER = {"ray"}

_IMPORT = opmap["IMPORT_NAME"]
_LOADS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_GLOBALS"}
_ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}
_WITHOUT_MEANING = {"CACHE", "EXTENDED_ARG", "NOP", "PRECALL", "PUSH_NULL", "TO_BOOL"}

# What is read where it is named. The last one is the class of functions with a cache.
_CALLED = (FunctionType, type, MethodType, functools.partial, type(functools.cache(len)))

_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_EXAMPLES = os.path.join(_OWN, "examples", "")
_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = ("site-packages", "dist-packages")


def find_imports(trainable: Any) -> list[Import]:
    """Returns what the code of a trainable imports when it runs, in order.

    Args:
        trainable: A function or class, also with bound arguments or resources.

    Returns:
        Modules of libraries that are installed, each with the names that are imported from it.
        Nothing behind a change of the environment, the working directory or the module search
        path is among them.

    Example:
        >>> def train(config):
        ...     from json import decoder
        >>> find_imports(train)
        [('json', ('decoder',))]
    """
    if isinstance(trainable, type) and issubclass(trainable, FunctionTrainable):
        trainable = trainable._function
    walk = _Walk()
    try:
        walk.reach(trainable)
    except Exception:  # Objects of an odd kind; the trials import by themselves.
        return []
    return list(walk.found)


class _Scope(NamedTuple):
    """Where names in a piece of code are looked up.

    Attributes:
        values: {name: value}; the functions of a module that is not loaded are code.
        package: Package that relative imports start from.
        is_module: Whether this is the code of a module, whose functions run when they are called.
    """

    values: Mapping[str, Any]
    package: str
    is_module: bool = False


class _Walk:
    """Reads code in the order in which it would run.

    Attributes:
        found: The imports, in order.
    """

    def __init__(self) -> None:
        self.found: dict[Import, None] = {}
        self._seen: set[Any] = set()
        # Whether the environment, the working directory or the like may have changed.
        self._is_over = False

    def reach(self, value: Any) -> None:
        """Reads the code of a function or of the methods of a class, and of what is bound to it."""
        for each in _bound_to(value):
            if isinstance(each, _CALLED):
                self.reach(each)
        value = unwrapped(value)
        if isinstance(value, FunctionType):
            if _is_users(value.__code__.co_filename):
                variables = ChainMap(_closure_of(value), value.__globals__)
                package = _package_of(value.__globals__)
                self._read(value.__code__, _Scope(variables, package))
        elif isinstance(value, type) and value not in self._seen:
            self._seen.add(value)
            for each in sorted(methods_of(value), key=_order_of):
                self.reach(each)

    def _read(self, code: CodeType, scope: _Scope) -> None:
        if code in self._seen or len(self._seen) >= _MOST_CODES:
            return
        self._seen.add(code)
        if _IMPORT in code.co_code[::2] or not _TELLTALES.isdisjoint(code.co_names):
            self._read_steps(code, scope)
        else:
            # Most functions. The names are in the order of their first use.
            for name in (*code.co_freevars, *code.co_names):
                self._use(scope.values.get(name), scope, code)
            for each in code.co_consts:
                if isinstance(each, CodeType) and not scope.is_module and not self._is_over:
                    self._read(each, scope)

    def _read_steps(self, code: CodeType, scope: _Scope) -> None:
        steps = _steps_of(code)
        branch_end = skip_to = -1
        for index, step in enumerate(steps):
            if self._is_over:
                return
            if step.offset < skip_to:
                continue
            if step.opname == "IMPORT_NAME":
                level, members = (each.argval for each in steps[index - 2 : index])
                name = _absolute(step.argval, level, scope.package)
                self._import(name, tuple(members or ()), code, step.offset < branch_end)
            elif _changes(steps, index):
                self._is_over = True
            elif step.opname in _LOADS:
                if step.argval == "TYPE_CHECKING":
                    skip_to = _end_of_branch(steps, index)
                self._use(scope.values.get(step.argval), scope, code)
            elif isinstance(step.argval, CodeType) and not scope.is_module:
                self._read(step.argval, scope)
            elif "JUMP" in step.opname or step.opname == "FOR_ITER":
                branch_end = max(branch_end, step.argval)

    def _use(self, value: Any, scope: _Scope, user: CodeType) -> None:
        """Reads what a piece of code names."""
        if self._is_over or value is None:
            return
        if isinstance(value, CodeType):
            self._read(value, scope._replace(is_module=False))
        elif isinstance(value, ModuleType):
            # Functions of a module of the user's, as far as this code names them.
            if _is_users(getattr(value, "__file__", None) or _STANDARD):
                for name in user.co_names:
                    self._use_object(vars(value).get(name))
        else:
            self._use_object(value)

    def _use_object(self, value: Any) -> None:
        if isinstance(value, _CALLED):
            self.reach(value)
        elif _is_users(_file_of(type(value))):
            self.reach(type(value))

    def _import(self, name: str, members: tuple[str, ...], user: CodeType, is_branch: bool) -> None:
        top = name.partition(".")[0]
        if not top or top in _NEVER or (is_branch and top in _NOT_IN_BRANCHES):
            return
        spec = _spec_of(name)
        if spec is None:
            return
        if _is_library(top, spec):
            self.found[name, members] = None
            return
        names = name.split(".")
        for end in range(1, len(names) + 1):
            self._read_module(".".join(names[:end]), {*members, *user.co_names})
        for each in members:
            self._read_module(f"{name}.{each}", {*user.co_names})

    def _read_module(self, name: str, wanted: set[str]) -> None:
        """Reads the file of a module of the user's, and the functions in it that are used."""
        spec = _spec_of(name)
        code = _code_of(spec)
        if spec is None or code is None:
            return
        functions = {each.co_name: each for each in code.co_consts if isinstance(each, CodeType)}
        scope = _Scope(functions, spec.parent or "", is_module=True)
        self._read(code, scope)
        for each in wanted & functions.keys():
            self._use(functions[each], scope, code)


def _bound_to(value: Any) -> list[Any]:
    """Returns the arguments that partial or with_parameters has bound."""
    if isinstance(value, functools.partial):
        return [*value.args, *value.keywords.values()]
    holders = [getattr(value, "__dict__", {}).get("_parameters")]
    if isinstance(value, FunctionType):  # The method `setup` of a class.
        holders += _closure_of(value).values()
    return [
        each
        for holder in holders
        if isinstance(holder, Parameters)
        for each in holder.values.values()
    ]


def _order_of(method: Any) -> int:
    """Returns when a method is called, among those of a trainable."""
    order = ("__init__", "setup", "step")
    name = getattr(method, "__name__", "")
    return order.index(name) if name in order else len(order)


def _closure_of(function: FunctionType) -> dict[str, Any]:
    closure = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        with contextlib.suppress(ValueError):  # Not assigned yet.
            closure[name] = cell.cell_contents
    return closure


def _package_of(variables: Mapping[str, Any]) -> str:
    package = variables.get("__package__")
    if not isinstance(package, str):
        package = str(variables.get("__name__", "")).rpartition(".")[0]
    return package


# -- instructions ---------------------------------------------------------------------------------


def _steps_of(code: CodeType) -> list[Instruction]:
    import dis

    return [each for each in dis.get_instructions(code) if each.opname not in _WITHOUT_MEANING]


def _changes(steps: list[Instruction], index: int) -> bool:
    """Returns whether an instruction may change what an import depends on."""
    step = steps[index]
    if step.opname not in _LOADS and step.opname not in _ATTRIBUTES:
        return False
    if step.argval in _CHANGES:
        return True
    is_state = step.argval in _STATE
    if step.argval in _STATE_OF_SYS and index:
        before = steps[index - 1].argval
        is_state = before == "sys" or (isinstance(before, tuple) and before[-1] == "sys")
    return is_state and not _is_read(steps[index + 1 :])


def _is_read(behind: list[Instruction]) -> bool:
    """Returns whether the instructions behind a mapping only read it."""
    above = 0  # what has been put on top of it
    for step in behind:
        if step.opname in _ATTRIBUTES:
            if not above:
                return step.argval in _READS
        elif step.opname == "BINARY_SUBSCR":
            above -= 1
            if not above:
                return True
        elif step.opname.startswith("LOAD_"):
            above += step.opname.count("LOAD_")
        else:
            return step.opname == "CONTAINS_OP"
    return False


def _end_of_branch(steps: list[Instruction], index: int) -> int:
    """Returns where the code ends that runs if a condition holds."""
    for step in steps[index + 1 : index + 3]:
        if "JUMP" in step.opname and step.opname.endswith("IF_FALSE"):
            return int(step.argval)
    return -1


# -- modules --------------------------------------------------------------------------------------


def _absolute(name: str, level: int, package: str) -> str:
    """Returns the full name of a module that is imported; "" if there is none."""
    if not level:
        return name
    parts = package.split(".") if package else []
    if level > len(parts):
        return ""
    return ".".join([*parts[: len(parts) - level + 1], *([name] if name else [])])


def _spec_of(name: str) -> ModuleSpec | None:
    """Returns where a module would be loaded from; no package around it is loaded."""
    import importlib.util
    from importlib.machinery import PathFinder

    names = name.split(".")
    try:
        spec = importlib.util.find_spec(names[0])
        for end in range(2, len(names) + 1):
            if spec is None or spec.submodule_search_locations is None:
                return None
            spec = PathFinder.find_spec(".".join(names[:end]), spec.submodule_search_locations)
    except Exception:  # A finder of somebody's.
        return None
    return spec


def _code_of(spec: ModuleSpec | None) -> CodeType | None:
    get_code = getattr(spec.loader, "get_code", None) if spec is not None else None
    if spec is None or get_code is None:
        return None
    try:
        code = get_code(spec.name)
    except Exception:  # The trial will tell.
        return None
    return code if isinstance(code, CodeType) else None


def _is_library(top: str, spec: ModuleSpec) -> bool:
    if top in sys.stdlib_module_names or top == "localtune":
        return True
    places = [spec.origin or "", *(spec.submodule_search_locations or ())]
    return any(map(_is_installed, places))


def _is_installed(path: str) -> bool:
    return any(each in path for each in _INSTALLED)


def _file_of(cls: type) -> str:
    module = sys.modules.get(cls.__module__)
    return getattr(module, "__file__", None) or ("" if cls.__module__ == "__main__" else _STANDARD)


def _is_users(path: str) -> bool:
    """Returns whether the code of a file is neither a library's, nor Python's, nor localtune's."""
    if path.startswith(_EXAMPLES):
        return True
    return not (path.startswith((_OWN, _STANDARD, "<frozen ")) or _is_installed(path))
