"""The ground side of skybook: train, decode, measure and look."""
