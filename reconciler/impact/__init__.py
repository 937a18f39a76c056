"""What a change of the files means in money and refusals: two catalogues, the usage of a month, every tenant.

Pure. :func:`reconciler.impact.compare.compare` weighs what was used under both catalogues and prices what each lets
through, as its own invoice would; ``reading`` and ``history`` say what was used, by a file or by a ledger's entries.
"""
