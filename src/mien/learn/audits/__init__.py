"""Whether a model can be trusted: each module answers one question from predictions and labels, or from a model."""
