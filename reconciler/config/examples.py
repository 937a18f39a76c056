"""Examples of every model, shown by editors."""

EXAMPLES = {}
