"""In-context learning: labelled examples in the prompt, one more input to label in each call."""
