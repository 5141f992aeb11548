"""Model families: how the tokens of the next frame are predicted."""
