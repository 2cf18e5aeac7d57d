"""Studies: what goes in, what comes out, who computes it."""
