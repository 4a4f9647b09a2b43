"""Find the jobs of task queues and schedulers, and their names."""
