"""Commands that make a model and say what it is worth."""
