"""The generic trainer: stages and phases as data, named terms, probes."""
