"""Networks: ours and the published ones, their heads, start weights and graphs."""
