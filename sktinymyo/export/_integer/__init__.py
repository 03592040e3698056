"""The integer network: its program, its arithmetic and its reference in numpy."""
