"""Found by any Python program started with this folder on PYTHONPATH: records its socket calls, changes nothing else.

The program may have no ``inspector`` and another version of Python, so this folder imports the standard library only.
"""

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib would cost every program's start


def _begin() -> None:
    """Record from here on, and be gone: sys.path is as it would be, and a sitecustomize of the machine's own runs."""
    import inspector_recorder  # type: ignore[import-not-found]  # it lies beside this file

    folder = os.environ.get("INSPECTOR_CALLS", "")
    if os.path.isdir(folder):  # noqa: PTH112
        inspector_recorder.begin(folder)
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules["sitecustomize"])


_begin()
