"""A test for every capability asked for by the projects that this one succeeds, and for every mistake found in them.

A row's id is ``seed.row``: the project that asked for it and its number there. ``test_row_0_4_…`` fails where row 0.4
goes away; ``test_mistake_b1_…`` fails where mistake B1 comes back. ``docs/features.md`` lists them, made of the tests'
names and docstrings: ``pytest tests/features --update-expected`` writes it.
"""
