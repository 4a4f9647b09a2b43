"""Write the committed files that follow from the code or from a recorded run."""
