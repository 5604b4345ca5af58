"""Executors: one method each. `map(tasks)` yields results in any order; a failure is a value."""
