"""Language models trained on the same tasks, from scratch or from pretrained weights."""
