"""Commands that measure how far a model can be trusted, one question each."""
