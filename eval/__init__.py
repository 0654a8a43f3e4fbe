"""The evaluation: question sets, metrics, a runner that can be resumed, and reports."""
