"""Readers of foreign drives: each writes ordinary episodes and states what it converted."""
