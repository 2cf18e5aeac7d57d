"""`make bench-money`: what a battery saves on measured sites, as a share of what perfect foresight would."""
