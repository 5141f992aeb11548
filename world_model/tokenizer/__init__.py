"""One picture to K token maps and back: encoder, multi-scale residual quantizer, decoder."""
