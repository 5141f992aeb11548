"""What the reference camera is made of: one module per kind of thing it draws."""
