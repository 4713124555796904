"""Commands for those who develop models: what comes before and after training runs, and comparisons."""
