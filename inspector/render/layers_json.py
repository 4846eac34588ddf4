"""A packet with all its layers as one JSON object. The schema is documented in docs/json.md."""

from json import dumps
from typing import Any

from inspector.decode.dissect import Field, Header
from inspector.render.json_lines import SCHEMA
from inspector.tcp.states import Side
from inspector.trace.encapsulation import Encapsulation
from inspector.trace.message_part import MessagePart


def layers_line(packet: Encapsulation) -> str:
    """The object, on one line."""
    part = packet.part
    client_state, server_state = packet.states or (None, None)
    return dumps(
        {
            "schema": SCHEMA,
            "packet": packet.packet,
            "time_ns": packet.time_ns,
            "conversation": None if packet.conversation is None else packet.conversation.number,
            "direction": "to-server" if packet.side is Side.CLIENT else "to-client",
            "wire_bytes": packet.wire_bytes,
            "captured_bytes": len(packet.frame),
            "layers": [_layer(header) for header in packet.headers],
            "payload": {"start": packet.payload_start, "end": packet.payload_end, "hex": packet.payload.hex()},
            "padding_bytes": len(packet.frame) - packet.payload_end,
            "message": None if part is None else _message(part),
            "client_state": client_state,
            "server_state": server_state,
        }
    )


def _layer(header: Header) -> dict[str, Any]:
    return {
        "name": header.name,
        "title": header.title,
        "osi": header.osi,
        "start": header.start,
        "end": header.end,
        "complete": header.complete,
        "quoted": header.quoted,
        "checksum": header.checksum,
        "fields": [_field(header, field) for field in header.fields],
    }


def _field(header: Header, field: Field) -> dict[str, Any]:
    """Bits are counted from the start of the header, bytes from the start of what the header is counted in."""
    return {
        "name": field.name,
        "value": field.value,
        "text": field.text,
        "bit": field.bit,
        "bits": field.bits,
        "start": header.start + field.bit // 8,
        "end": header.start + (field.bit + field.bits + 7) // 8,
    }


def _message(part: MessagePart) -> dict[str, Any]:
    return {
        "framing": part.framing,
        "number": part.number,
        "messages": part.messages,
        "offset": part.offset,
        "start": part.message.start,
        "header_end": part.message.header_end,
        "header_packets": part.packets,
        "header": None if part.header is None else _layer(part.header),
    }
