"""The report on a whole capture as one JSON object."""

import json

from inspector.explain.matters.matter import Matter
from inspector.explain.report import Report
from inspector.views.report import change, sentence

_SCHEMA = 1


def report_line(report: Report) -> str:
    """The report; its matters in the order of the words."""
    return json.dumps(
        {
            "schema": _SCHEMA,
            "packets": report.packets,
            "packets_read": report.packets_read,
            "conversations": len(report.conversations),
            "conversations_read": report.read,
            "clean": report.is_clean,
            "matters": [_fields(matter) for matter in report.matters],
        }
    )


def _fields(matter: Matter) -> dict[str, object]:
    numbers = {name: int(value) for name, value in matter.case.parameters.items() if isinstance(value, int)}
    return {
        "name": matter.rule.name,
        "severity": matter.rule.severity.name.lower(),
        "topic": matter.rule.topic,
        "known": matter.case.known,
        "conversations": sorted(conversation.number for conversation in matter.conversations),
        "packets": sorted(set(matter.case.packets)),
        "numbers": numbers,
        "text": sentence(matter),
        "change": change(matter),
    }
