"""How well a model answers, at home and abroad, and what it learns of itself from held-out faces."""
