"""Bounded codec: predicts each sample and codes what is left, within a bound on its error."""
