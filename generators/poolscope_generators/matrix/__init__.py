"""The matrix: every counterpart of poolscope in every version that is supported, with its tests."""
