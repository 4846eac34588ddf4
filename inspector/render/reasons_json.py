"""What is known about one packet as one JSON object."""

import json
from collections.abc import Sequence

from inspector.calls.matching import SidedCall
from inspector.explain.reason import Reason
from inspector.tcp.states import Side
from inspector.views.explanation import sentence

_SCHEMA = 1
_SIDES = {Side.CLIENT: "client", Side.SERVER: "server"}


def packet_reasons_line(packet: int, conversation: int | None, reasons: Sequence[Reason]) -> str:
    """The reasons of a packet in the order of the words, without a newline; of no conversation: null."""
    return json.dumps(
        {
            "schema": _SCHEMA,
            "packet": packet,
            "conversation": conversation or None,
            "reasons": [_fields(reason) for reason in reasons],
        }
    )


def _fields(reason: Reason) -> dict[str, object]:
    rule, case = reason.rule, reason.case
    return {
        "rule": rule.name,
        "part": rule.part,
        "sentence": sentence(reason),
        "known": case.known,
        "packets": sorted({reason.packet, *case.packets}),
        "calls": [_call(each) for each in case.calls],
        "source": rule.source,
        "topic": rule.topic,
    }


def _call(sided: SidedCall) -> dict[str, object]:
    return {"side": _SIDES[sided.side], "name": sided.call.name, "enter_ns": sided.call.enter_ns}
