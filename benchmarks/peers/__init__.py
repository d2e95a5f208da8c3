"""The libraries that benchmarks compare with, each in a process of its own, in an environment of their own."""
