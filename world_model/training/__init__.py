"""Training of tokenizers and world models: data, the loop, and one module for each of the two tasks."""
