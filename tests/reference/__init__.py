"""Our own models against those of others, live: `make reference`. One module a subject."""
