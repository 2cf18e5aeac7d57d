"""`make bench`: speed and size, as a table and as `bench.json`; ratios in one run where that can be."""
