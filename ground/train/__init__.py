"""Training of models from recipes, split by place."""
