"""The page of what is counted, pool by pool, from a run of the conformance suite."""
