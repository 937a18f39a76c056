"""Planning: files and live state in, a plan out. Pure: no input or output, the clock is an argument."""
