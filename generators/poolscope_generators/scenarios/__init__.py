"""The page of verdicts, from a run of the scenarios."""
