"""Training of the bounded codec: coefficients, context weights and tables."""
