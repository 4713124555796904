"""From tables of labelled faces to what a network is shown, and what models answered for them."""
