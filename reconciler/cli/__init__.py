"""The command line: wires the rooms below and holds no logic of its own.

``main`` is the console script; ``commands`` holds one module per command, loaded only when its command runs.
"""
