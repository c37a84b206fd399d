"""Conversations for the demonstration model, made from a seed; every tool result comes from running the code."""
