"""The loop and all that it needs; teachers; runs made of other runs."""
