"""Evidence as plain text, ready for a ticket: one text for each block of the pages."""
