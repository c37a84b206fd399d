"""A durable turn of three steps (a reply, a tool, a reply) in each product: programs that are told how many to run.

They share this protocol and nothing else, since each runs in an environment of its own.
"""
