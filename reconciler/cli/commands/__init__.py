"""One module per command; each offers it as ``command``."""
