"""Pictures for people: faces marked on a photo, and maps of explanations over chips."""
