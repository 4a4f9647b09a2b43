"""Run the test suites of other projects with and without poolscope, and compare the outcomes."""
