"""The kinds of things the model is asked; each module offers functions from a `Draw` to an exercise, a turn or a conversation."""
