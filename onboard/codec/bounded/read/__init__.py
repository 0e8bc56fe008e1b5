"""The reading direction of the bounded codec; it never flies."""
