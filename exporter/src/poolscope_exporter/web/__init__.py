"""The live page, the JSON API and the event lines."""
