"""The published systems mien descends from, one design a file, each with its paper on top."""
