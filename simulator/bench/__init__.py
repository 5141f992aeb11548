"""`dreamlane bench`: the speeds and sizes that docs/benchmarks.md reports."""
