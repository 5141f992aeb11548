"""An action-conditioned, frame-wise visual autoregressive world model."""
