"""Writes the topics of ``inspector explain`` as pages, in both languages: python docs/make_topics.py [FOLDER].

They are made of the same texts and the same captures. A test runs this and compares.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from inspector.cli.topic_pictures import bundled_picture
from inspector.explain.topics import Topic, topics
from inspector.text import language, say
from inspector.text.language import Language
from inspector.views.ladder import LadderOptions, legend, shows_inferred
from inspector.views.topic_page import said

WIDTH = 100
FOLDERS = {Language.ENGLISH: Path("topics"), Language.CHINESE: Path("zh", "topics")}


def page(topic: Topic) -> Iterator[str]:
    """The paragraphs of one topic."""
    yield f"# {say(f'topics.{topic.area}.title')}"
    yield f"**{say(f'topics.{topic.area}.question')}**"
    yield from said(topic, "answer")
    yield from pictures(topic)
    for part in ("bits", "calls"):
        yield from section(topic, part)
    if topic.code:
        yield from (f"## {say('explain.topic_code')}", f"```python\n{topic.code}\n```")
    for part in ("mistake", "fix"):
        yield from section(topic, part)
    yield from (f"## {say('explain.topic_see')}", "```sh\n{}\n```".format("\n".join(topic.see)))
    yield from (f"## {say('explain.topic_sources')}", " · ".join(topic.sources))


def pictures(topic: Topic) -> Iterator[str]:
    """Each under its title, with the command that draws it, and what their marks mean."""
    inferred = False
    for variant in topic.variants:
        yield f"## {say(f'topics.{topic.area}.variant_{variant.name}')}"
        yield f"`{variant.command(topic.picture)}`"
        lines = list(bundled_picture(topic, variant, LadderOptions(width=WIDTH)))
        inferred = inferred or any(map(shows_inferred, lines))
        yield "```text\n{}\n```".format("\n".join(line.text for line in lines).rstrip())
    if inferred:
        yield " ".join(line.text for line in legend(WIDTH) if line.text)


def section(topic: Topic, part: str) -> Iterator[str]:
    """A part of the page, when there is something to say."""
    texts = list(said(topic, part))
    if texts:
        yield from (f"## {say(f'explain.topic_{part}')}", *texts)


def contents() -> Iterator[str]:
    """The list of all topics, by group."""
    yield "# inspector explain"
    for group, own in groupby(topics().values(), key=lambda topic: topic.group):
        yield f"## {say(f'explain.group_{group}')}"
        yield "\n".join(
            f"- [{say(f'topics.{topic.area}.title')}]({topic.name}.md): {say(f'topics.{topic.area}.question')}"
            for topic in own
        )


def write(path: Path, paragraphs: Iterator[str]) -> None:
    """A page of paragraphs."""
    path.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")


def main(docs: Path) -> None:
    """Write every page."""
    for spoken, name in FOLDERS.items():
        language.speak(spoken)
        folder = docs / name
        folder.mkdir(parents=True, exist_ok=True)
        write(folder / "README.md", contents())
        for topic in topics().values():
            write(folder / f"{topic.name}.md", page(topic))
    language.speak(Language.ENGLISH)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
