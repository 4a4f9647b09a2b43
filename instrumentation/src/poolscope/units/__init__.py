"""Mark the units of work of the application: where each begins and ends, and its name."""
