"""A million interleaved operations on ledgers whose processes and databases are killed, and the books after that."""
