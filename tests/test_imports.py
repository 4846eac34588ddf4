"""What commands import, and that every sentence for the user stands once, in ``inspector/text``, and is used."""

import ast
import re
import string
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from inspector import demos
from inspector.cli.parser import _OWN_HELP, COMMANDS
from inspector.decode.checksums import Checksum
from inspector.decode.protocols import ICMP_ERRORS, icmp_name
from inspector.explain.matters import RULES as MATTER_RULES
from inspector.explain.matters.matter import Severity
from inspector.explain.quiz import Ask
from inspector.explain.reason import Part
from inspector.explain.rules import FRAME_RULES, RULES
from inspector.explain.topics import GROUPS, topics
from inspector.tcp.findings import Cause, Kind
from inspector.tcp.report import Closing, Opening
from inspector.tcp.states import Known
from inspector.text import problems
from inspector.text.language import Language
from inspector.views.call_words import _EXPLAINED, _POLL_BITS
from inspector.views.encoding import Encoding
from inspector.views.header_fields import KNOWN
from inspector.views.layer_walk import _OWN_WORDS
from inspector.views.layers import _UNITS
from inspector.views.phases import Phase
from inspector.views.report import _CLOSINGS, _OPENINGS
from inspector.views.table import COLUMNS
from inspector.views.timeline import Activity

PROJECT = Path(__file__).parents[1]
PACKAGE = PROJECT / "inspector"
HEAVY = {"scapy", "textual", "asyncio", "pyroute2"}

IMPORTED = """
import sys
sys.path[:0] = {path!r}
before = set(sys.modules)
from inspector.cli import main
status = main({words!r})
sys.stdout.flush()
print(*sorted({{name.partition(".")[0] for name in set(sys.modules) - before}}), file=sys.stderr)
sys.exit(status)
"""


def imported(words: list[str], *, path: list[str]) -> set[str]:
    """The top-level modules that a command imports, in an interpreter with nothing but the standard library."""
    code = IMPORTED.format(path=path, words=words)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


def test_the_version_needs_the_standard_library_alone() -> None:
    found = imported(["--version"], path=[str(PROJECT)])
    assert found <= sys.stdlib_module_names | {"inspector"}
    assert "argparse" not in found


@pytest.mark.parametrize(
    "words",
    [
        ["replay", "hello"],
        ["replay", "hello", "--color", "always"],
        ["packets", "hello", "--json"],
        ["conversations", "hello"],
        ["follow", "hello", "--conversation", "1"],
        ["demo", "--list"],
        ["doctor"],
    ],
    ids=" ".join,
)
def test_what_shows_no_live_packets_needs_nothing_heavy(words: list[str]) -> None:
    assert not imported(words, path=[str(PROJECT), *sys.path]) & HEAVY


AREAS = {
    ".".join(path.relative_to(PACKAGE / "text").with_suffix("").parts): tomllib.loads(path.read_text(encoding="utf-8"))
    for path in sorted((PACKAGE / "text").rglob("*.toml"))
}
ROOTS = {area.partition(".")[0] for area in AREAS}
TEXTS = {f"{area}.{name}": entry for area, entries in AREAS.items() for name, entry in entries.items()}
KEY = re.compile(rf"({'|'.join(AREAS)})\.[A-Za-z0-9_]+")
PROBLEMS = {name for name in dir(problems) if name.endswith("Problem")}

FINDINGS = {
    *(f"{Kind.RETRANSMISSION}_{cause}" for cause in Cause),
    *(set(Kind) - {Kind.RETRANSMISSION}),
}
EVERY_BYTE = range(256)
ICMP_NAMES = {icmp_name(protocol, kind, code) for protocol in ICMP_ERRORS for kind in EVERY_BYTE for code in EVERY_BYTE}
PLAIN_PHASES = set(Phase) - {Phase.RESET, Phase.HALF_CLOSED}  # those take parameters
NO_TEARDOWN = {Closing.SIMULTANEOUS, Closing.OPEN, Closing.NEVER_OPENED}
CHECKED = ("capture", "private", "libpcap", "strace")
TOPICS = list(topics().values())
TITLES = [f"{topic.area}.title" for topic in TOPICS]
# Keys that are put together: by module, as they are written there, and all the names that come of them.
COMPOSED: dict[str, dict[str, Iterable[str]]] = {
    "cli/demo.py": {
        "demo.{name.replace('-', '_')}": [name.replace("-", "_") for name in demos.names()],
        "demo.{part}_title": ("steps_title", "lesson_title"),
        "demo.{name}_{part}": [
            f"{name.replace('-', '_')}_{part}" for name in demos.names() for part in ("steps", "lesson")
        ],
    },
    "cli/doctor.py": {"doctor.{check.name}": ("platform", *CHECKED, "interfaces", "terminal")},
    "cli/layers.py": {"layers.{key}_title": ("down_title", "up_title")},
    "cli/topics.py": {"topics.{topic.area}.title": TITLES},
    "cli/parser.py": {
        "cli.{command}": COMMANDS,
        "cli.{command}_{name}": [f"{command}_{name}" for command, name in _OWN_HELP],
        "cli.option_{name}": {
            f"option_{name}"
            for command, options in COMMANDS.items()
            for name in (names[0].removeprefix("--") for names, _ in options)
            if (command, name) not in _OWN_HELP
        }
        | {"option_lang"},
    },
    "session/doctor.py": {
        "doctor.{name}_{'yes' if present else 'no'}": [f"{name}_{word}" for name in CHECKED for word in ("yes", "no")],
        "doctor.{name}_remedy": [f"{name}_remedy" for name in CHECKED],
        "doctor.terminal_{size}": ["terminal_pipe", "terminal_size"],
    },
    "views/call_list.py": {"calls.link_{known}": ("link_seen", "link_inferred")},
    "views/call_words.py": {
        "calls.{call.error}": _EXPLAINED,
        "calls.{name}": _POLL_BITS.values(),
        "calls.{place}": ("to_send", "in_flight", "unread"),
    },
    "views/explanation.py": {
        "reasons.{reason.rule.key}": [rule.key for rule in (*RULES, *FRAME_RULES)],
        "explain.known_{reason.case.known}": [f"known_{known}" for known in Known],
        "explain.part_{part}": [f"part_{part}" for part in Part],
    },
    "views/labels.py": {
        "icmp.{row.icmp}": ICMP_NAMES,
        "icmp.{row.notice.name}": [*ICMP_NAMES, "error"],
        "findings.{kind}": FINDINGS,
    },
    "views/header_fields.py": {
        "fields.{key}": [name.replace(".", "_") for name in KNOWN],
        "fields.{key}_is": [f"{name.replace('.', '_')}_is" for name in KNOWN],
        "fields.checksum_{header.checksum}": [f"checksum_{checksum}" for checksum in Checksum],
    },
    "views/layer_walk.py": {
        "layers.down_6_{encoding}": [f"down_6_{encoding}" for encoding in Encoding],
        "layers.up_6_{kind}": ("up_6_none", "up_6_binary", "up_6_text"),
        "layers.up_7_{gets}": ("up_7_none", "up_7_tcp", "up_7_datagram"),
        "layers.note_checksum_{header.checksum}": [f"note_checksum_{checksum}" for checksum in Checksum],
        "layers.{way}_other": ("down_other", "up_other"),
        "layers.{way}_{name}": [f"{way}_{name}" for way in ("down", "up") for name in _OWN_WORDS] + ["up_tcp_control"],
    },
    "views/layers.py": {
        "layers.encoding_{encoding}": [f"encoding_{encoding}" for encoding in Encoding],
        "layers.osi_{osi}": [f"osi_{osi}" for osi in range(1, 8)],
        "layers.unit_{unit}": [f"unit_{unit}" for unit in _UNITS.values()],
        "layers.{name}": ("quoted", "encrypted", "body", "payload", "missing", "padding"),
    },
    "views/ladder.py": {"ladder.{phase}": PLAIN_PHASES},
    "views/topic_page.py": {
        "topics.{topic.area}.title": TITLES,
        "topics.{topic.area}.question": [f"{topic.area}.question" for topic in TOPICS],
        "topics.{topic.area}.variant_{variant.name}": [
            f"{topic.area}.variant_{variant.name}" for topic in TOPICS for variant in topic.variants
        ],
        "topics.{topic.area}.{entry}": [
            f"{topic.area}.{entry}"
            for topic in TOPICS
            for entry in AREAS[f"topics.{topic.area}"]
            if re.fullmatch(r"(answer|bits|calls|mistake|fix)(_[2-9])?", entry)
        ],
        "explain.group_{group}": [f"group_{group}" for group in GROUPS],
        "explain.topic_{part}": [
            f"topic_{part}" for part in ("bits", "calls", "code", "mistake", "fix", "see", "sources")
        ],
    },
    "views/timeline.py": {"timeline.{what.name.lower()}": [what.name.lower() for what in Activity]},
    "views/phases.py": {
        "ladder.{section.phase}": PLAIN_PHASES,
        "ladder.{title}": ["data_midstream", "data", "no_data"],
        "ladder.opening_{opening}": [f"opening_{opening}" for opening in Opening],
        "ladder.closing_{closing}": [f"closing_{closing}" for closing in set(Closing) - NO_TEARDOWN],
        "ladder.verdict_{opening}": ["verdict_refused", "verdict_unanswered"],
        "ladder.verdict_{closing}": [f"verdict_{closing}" for closing in Closing],
    },
    "views/quiz.py": {
        "quiz.ask_{question.ask}": [f"ask_{ask}" for ask in set(Ask) - {Ask.NEXT}],
        "quiz.ask_{question.ask}_data": [f"ask_{ask}_data" for ask in set(Ask) - {Ask.NEXT}],
    },
    "views/report.py": {
        "report.{matter.rule.name}": [rule.name for rule in MATTER_RULES],
        "report.{matter.rule.name}_several": [f"{rule.name}_several" for rule in MATTER_RULES],
        "report.{matter.rule.name}_change": [f"{rule.name}_change" for rule in MATTER_RULES],
        "report.severity_{severity}": [f"severity_{severity}" for severity in Severity],
        "report.how_{how}": [f"how_{how}" for how in {*_OPENINGS.values(), *_CLOSINGS.values(), "closed"}],
        "explain.known_{matter.case.known}": [f"known_{known}" for known in Known],
    },
    "views/stream.py": {"ladder.{name}": ["client", "server"]},
    "views/table.py": {
        "table.{column.name}": [column.name for column in COLUMNS],
        "table.closing_{closing}": [f"closing_{closing}" for closing in Closing],
        "table.opening_{opening}": [f"opening_{opening}" for opening in Opening],
    },
}


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package but those that hold no more than texts and problems."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent.name != "text":
            yield str(path.relative_to(PACKAGE)), ast.parse(path.read_text(encoding="utf-8"))


def written(node: ast.AST) -> str:
    """A string as it is written, what is filled in with its braces; empty for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        parts = (written(part) or f"{{{ast.unparse(getattr(part, 'value', part))}}}" for part in node.values)
        return "".join(parts)
    return ""


def called(call: ast.Call) -> str:
    """The name of a function or method."""
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


def composed(text: str) -> bool:
    return "{" in text and "." in text and text.partition(".")[0] in ROOTS


def keys_of(node: ast.AST, path: str) -> Iterable[str]:
    """The keys that an argument may be; none when it comes from elsewhere."""
    if isinstance(node, ast.IfExp):
        return [*keys_of(node.body, path), *keys_of(node.orelse, path)]
    text = written(node)
    if composed(text):
        return [f"{text.partition('.')[0]}.{name}" for name in COMPOSED.get(path, {}).get(text, ())]
    return [text] * bool(KEY.fullmatch(text))


def inside_of_strings(tree: ast.Module) -> set[int]:
    """The constants that are parts of longer strings."""
    return {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}


def fields_of(text: str) -> frozenset[str]:
    return frozenset(name for _, name, _, _ in string.Formatter().parse(text) if name)


def fields(key: str) -> set[str]:
    """The parameters that a text takes, in any of its forms."""
    return {name for text in TEXTS[key].values() for name in fields_of(text)}


def test_every_key_has_a_text_and_every_text_is_used() -> None:
    used: dict[str, str] = {}
    for path, tree in modules():
        parts = inside_of_strings(tree)
        for node in ast.walk(tree):
            text = "" if id(node) in parts else written(node)
            for key in keys_of(node, path) if text else []:
                used.setdefault(key, f"{path}:{getattr(node, 'lineno', 0)} {text}")
    assert {key: place for key, place in used.items() if key not in TEXTS} == {}
    foreign = {f"foreign.{name}" for name in AREAS["foreign"]}  # looked up by their English text
    assert sorted(TEXTS.keys() - used.keys() - foreign) == []


def test_composed_keys_are_all_listed_here() -> None:
    found = {
        (path, text)
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr) and composed(text := written(node))
    }
    assert found == {(path, text) for path, texts in COMPOSED.items() for text in texts}


def test_texts_get_the_parameters_they_take() -> None:
    compared = 0
    for path, tree in modules():
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args):
            if called(call) != "say" and called(call) not in PROBLEMS:
                continue
            given = {keyword.arg for keyword in call.keywords}
            if None in given:
                continue  # **parameters: what is in them is seen when the text is said
            for key in keys_of(call.args[0], path):
                assert fields(key) <= given, (f"{path}:{call.lineno}", key)
                compared += 1
    assert compared > 150


def test_texts_are_whole() -> None:
    for key, entry in TEXTS.items():
        assert {*Language} <= entry.keys() <= {"en", "en_one", "zh", "zh_one"}, key
        for text in entry.values():
            assert text == text.strip(), key
            assert "\n" not in text, key
            assert not re.search(r"[^ ]  [^ ]", text), key


def test_both_languages_take_the_same_parameters() -> None:
    for key, entry in TEXTS.items():
        english, chinese = (
            {name for _, name, _, _ in string.Formatter().parse(entry[language]) if name} for language in Language
        )
        assert english == chinese, key


# Words that textbooks or screens use for the same thing; here each thing has one.
SYNONYMS = (
    "回环",
    "三路握手",
    "四路挥手",
    "序列号",
    "确认序号",
    "重置",
    "慢速启动",
    "黏包",
    "滑窗",
    "客户机",
    "服务端",
    "数据报文",
)


def test_chinese_uses_the_words_of_the_glossary() -> None:
    for key, entry in TEXTS.items():
        for word in SYNONYMS:
            assert word not in entry["zh"], (key, word)


def glued(node: ast.AST) -> bool:
    """Whether a text is put together of several, or of one and words of the code."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return any(isinstance(part, ast.Call) and called(part) == "say" for part in (node.left, node.right))
    if not isinstance(node, ast.JoinedStr):
        return False
    filled = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    said = [part for part in filled if isinstance(part, ast.Call) and called(part) == "say"]
    words = "".join(part.value for part in node.values if isinstance(part, ast.Constant))
    return bool(said) and (len(said) > 1 or any(map(str.isalpha, words)))


def test_no_text_is_glued_from_pieces() -> None:
    for path, tree in modules():
        for node in ast.walk(tree):
            assert not glued(node), f"{path}:{getattr(node, 'lineno', 0)} {ast.unparse(node)}"


SHOWING = {
    "print",
    "write",
    "writelines",
    "tell",
    "paint",
    "Rule",
    "Span",
    "Part",
    "error",
    "ArgumentTypeError",
} | PROBLEMS
SENTENCE = re.compile(r"[A-Za-z]{2,} [a-z]{2,}")


def test_no_sentence_stands_in_the_code() -> None:
    for path, tree in modules():
        if path.startswith("demos/"):
            continue  # they are programs to read
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) in SHOWING):
            for argument in call.args:
                for node in ast.walk(argument):
                    assert not SENTENCE.search(written(node)), f"{path}:{call.lineno} {written(node)}"
