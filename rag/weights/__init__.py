"""The fitted weights, and the scripts that made them."""
