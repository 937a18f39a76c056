"""From what teams have today to files: each format is read once, and what cannot be carried over is said."""
