"""The captures that travel with the program, found by name in a checkout and when installed."""

from pathlib import Path

from inspector.text import listed
from inspector.text.problems import FileProblem

_PACKAGE = Path(__file__).parents[1]
_FOLDERS = (_PACKAGE / "captures", _PACKAGE.parent / "captures")  # installed wheel, checkout
_ENDINGS = (".pcapng", ".pcap")


def names() -> list[str]:
    """Names of all bundled captures."""
    return sorted({file.stem for folder in _FOLDERS for file in folder.glob("*.pcap*")})


def find(name: str) -> Path | None:
    """The bundled capture of that name; None when there is none."""
    if "/" in name:
        return None
    candidates = (folder / f"{name}{ending}" for folder in _FOLDERS for ending in _ENDINGS)
    return next((path for path in candidates if path.is_file()), None)


def located(name: str) -> str:
    """The path of what a user calls a capture: a file, "-", or a bundled one by its name; raises FileProblem."""
    path = Path(name)
    if name == "-" or (path.exists() and not path.is_dir()):
        return name
    found = find(name)
    if found is None and not path.is_dir() and "/" not in name and "." not in name:
        raise FileProblem("file.no_such_capture", name=name, names=listed(names()))
    return str(found or name)
