"""The pictures of topics: conversations, streams and packets of captures, drawn with what a topic tells of them."""

from collections.abc import Iterator

from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli.common import calls_beside
from inspector.explain.narration import narrated
from inspector.explain.scene import Scene
from inspector.explain.topics import Topic, Variant
from inspector.trace.calls import conversation_calls
from inspector.trace.encapsulation import EncapsulationReader
from inspector.trace.messages import framed
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions, LadderPart, ladder_of, legend, shows_inferred
from inspector.views.layer_walk import picture as layers_picture
from inspector.views.line import Line
from inspector.views.messages import framing_words, stream_picture
from inspector.views.topic_page import closing, narrated_part, opening, variant_heading

_WHOLE_PAYLOAD_BYTES = 1 << 20  # of larger conversations only the beginning of each payload is looked at
_PAYLOAD_SHOWN_BYTES = 256


class Capture:
    """What pictures are drawn from."""

    def __init__(self, trace: Trace, calls: CallIndex) -> None:
        self.trace = trace
        self.calls = calls
        self._latest: Scene | None = None  # what is found is drawn next

    def scene(self, number: int) -> Scene:
        """A conversation with all its packets and calls."""
        if self._latest is None or self._latest.conversation.number != number:
            self._latest = read_scene(self.trace, number, self.calls)
        return self._latest


def read_scene(trace: Trace, number: int, calls: CallIndex) -> Scene:
    """The same of any trace."""
    conversation = trace.conversation(number)
    limit = None if conversation.payload_bytes <= _WHOLE_PAYLOAD_BYTES else _PAYLOAD_SHOWN_BYTES
    rows, end = trace.rows(number, limit)
    return Scene(conversation, rows, end, conversation_calls(calls, conversation, rows))


def bundled_page(topic: Topic, drawing: LadderOptions) -> Iterator[Line]:
    """A topic from the title to the sources, shown on bundled captures."""
    return page(topic, _bundled_pictures(topic, drawing), drawing)


def page(topic: Topic, pictures: Iterator[Line], drawing: LadderOptions) -> Iterator[Line]:
    """The same around any pictures."""
    inferred = False
    yield from opening(topic, drawing.width)
    for line in pictures:
        inferred = inferred or shows_inferred(line)
        yield line
    if inferred:
        yield from legend(drawing.width)
    yield from closing(topic, drawing.width)


def _bundled_pictures(topic: Topic, drawing: LadderOptions) -> Iterator[Line]:
    for variant in topic.variants:
        yield from variant_heading(topic, variant, drawing.width)
        yield from bundled_picture(topic, variant, drawing)


def bundled_picture(topic: Topic, variant: Variant, drawing: LadderOptions) -> Iterator[Line]:
    """One of its pictures."""
    with Trace.read(bundled.located(variant.capture)) as trace:
        capture = Capture(trace, CallIndex(calls_beside(variant.capture)))
        yield from picture(topic, capture, variant.conversation, variant.packet, drawing)


def picture(topic: Topic, capture: Capture, number: int, packet: int | None, drawing: LadderOptions) -> Iterator[Line]:
    """A conversation, or one packet of it where layers are shown, as the topic wants it."""
    scene = capture.scene(number)
    narration = narrated(scene, topic.rules)
    if topic.picture == "layers":
        shown = packet or min(narration.marked, default=scene.rows[0].packet)
        yield from layers_picture(
            EncapsulationReader(capture.trace).read(shown), capture.trace.link_type(shown), drawing.width
        )
    elif topic.picture == "messages":
        found = framed(capture.trace, number, calls=scene.calls)
        for stream in found.streams:
            if stream.data:
                yield from stream_picture(scene.conversation, stream, framing_words(found), drawing.width)
                yield Line()
    else:
        part = LadderPart(scene.conversation, scene.end, scene.rows, scene.calls)
        yield from ladder_of(narrated_part(part, narration), drawing)
