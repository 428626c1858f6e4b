"""The reliability scorecard: what the engine promises, measured on real processes. See docs/score.md."""
