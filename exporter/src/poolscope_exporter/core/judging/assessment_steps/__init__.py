"""The steps of an assessment, from the data of applications and servers to diagnoses."""
