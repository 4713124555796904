"""The papers' figures, drawn from the real networks."""
