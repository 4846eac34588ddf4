"""All matters, in one table: what each says is ``report.<name>``, what makes it true a function of one conversation."""

from inspector.explain.matters import captured, closing, datagrams, opening, programs, slow
from inspector.explain.matters.matter import MatterRule

RULES: tuple[MatterRule, ...] = (
    *opening.RULES,
    *closing.RULES,
    *slow.RULES,
    *programs.RULES,
    *datagrams.RULES,
    *captured.RULES,
)
