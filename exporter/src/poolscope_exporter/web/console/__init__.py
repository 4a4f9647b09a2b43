"""The live pages: what they show, how they are rendered, and how they are updated."""
