"""Ablation: what each part of the flagship codec is worth."""
