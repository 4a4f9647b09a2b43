"""The live views of `top`: the only folder that needs Textual."""
