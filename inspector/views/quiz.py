"""A question of the quiz as lines: the ladder up to it, the choices, and afterwards why."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from inspector.explain.quiz import LETTERS, Ask, Choice, Question, sides_of
from inspector.tcp.states import Side
from inspector.text import say
from inspector.trace.conversation import Conversation, Row
from inspector.views.explanation import below_row, indented, said
from inspector.views.ladder import LadderOptions, LadderPart, ladder_of
from inspector.views.ladder_layout import rule
from inspector.views.line import Line, Span, line_of
from inspector.views.phases import side_name


def question_lines(question: Question, number: int, count: int, drawing: LadderOptions) -> Iterator[Line]:
    """The ladder up to the packet, what is asked, and the choices."""
    scene, place, width = question.moment.scene, question.moment.place, drawing.width
    shown = scene.rows[:place]
    yield line_of(rule(say("quiz.heading", number=number, count=count), "", width))
    yield from ladder_of(LadderPart(_so_far(scene.conversation, shown), None, shown), drawing)
    yield Line()
    yield from indented(_asked(question), "head", "", width)
    for letter, choice in zip(LETTERS, question.choices, strict=True):
        yield line_of([Span(f"  {letter}  "), Span(_chosen(question.ask, choice))])


def answer_lines(question: Question, answer: int, width: int) -> Iterator[Line]:
    """Whether it was right, the packet that really came, and the reasons."""
    right = question.choices[question.right]
    key = "quiz.right" if answer == question.right else "quiz.wrong"
    words = say(key, letter=LETTERS[question.right], answer=_chosen(question.ask, right))
    yield from indented(words, "head", "", width)
    yield from below_row(question.because, width)
    yield Line()


def score_lines(right: int, asked: int, width: int) -> Iterator[Line]:
    """How many were right."""
    yield from indented(say("quiz.score" if asked else "quiz.no_answers", right=right, count=asked), "head", "", width)


def _so_far(conversation: Conversation, rows: Sequence[Row]) -> Conversation:
    """The conversation with the counts of what is shown, so that its head does not tell the rest."""
    sent = [[row.payload_bytes for row in rows if row.side is side] for side in Side]
    return replace(
        conversation,
        packets_to_server=len(sent[Side.CLIENT]),
        packets_to_client=len(sent[Side.SERVER]),
        payload_to_server=sum(sent[Side.CLIENT]),
        payload_to_client=sum(sent[Side.SERVER]),
        end_ns=rows[-1].time_ns,
    )


def _asked(question: Question) -> str:
    if question.ask is Ask.NEXT:
        return say("quiz.ask_next")
    sender, other = sides_of(question)
    parameters = {"sender": sender, "side": other, "flags": question.flags, "bytes": question.payload}
    key = f"quiz.ask_{question.ask}_data" if question.payload else f"quiz.ask_{question.ask}"
    return said(key, {**parameters, "packet": question.moment.row.packet})


def _chosen(ask: Ask, choice: Choice) -> str:
    if ask is Ask.NEXT:
        side, flags = choice
        return say("quiz.choice_next", side=side_name(Side(int(side))), flags=flags)
    if ask is Ask.NUMBERS:
        seq, ack = choice
        return say("quiz.choice_numbers", seq=seq, ack=ack)
    return str(choice[0])
