"""The one theme: what each style name of a view looks like, in the sixteen colours of the terminal's own palette.

They are readable on dark and on light because the terminal's user made them so. Yellow and white are never the colour
of a word. Colour is never the only sign of anything.
"""

THEME = {
    "arrow.control": "cyan",
    "arrow.data": "green",
    "arrow.problem": "magenta",
    "arrow.problem.control": "magenta",
    "arrow.reset": "red",
    "call": "",
    "call.error": "red",
    "fold": "dim italic",
    "head": "bold",
    "head.figure": "",
    "label.bytes": "green",
    "label.flags": "bold",
    "label.number": "",
    "label.option": "dim",
    "label.payload": "bold green",
    "label.problem": "bold magenta",
    "legend": "dim italic",
    "lifeline": "dim",
    "note": "italic",
    "number": "dim",
    "phase": "bold",
    "phase.figure": "bold",
    "rule": "dim",
    "state": "bold blue",
    "state.inferred": "blue",
    "state.unknown": "dim italic",
    "stream.client": "cyan",
    "stream.server": "green",
    "tag.0": "cyan",
    "tag.1": "green",
    "tag.2": "magenta",
    "tag.3": "blue",
    "tag.4": "red",
    "tag.5": "yellow",
    "time": "dim",
    "title": "dim",
}
