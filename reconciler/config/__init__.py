"""From files to one catalogue that is known to be valid."""
