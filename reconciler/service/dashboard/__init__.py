"""Pages for operators: who uses and pays what, why each entry is there, and whether all is well. Without any script."""
