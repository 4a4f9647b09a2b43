"""The handlers of the web listener, and what each answer passes through."""
