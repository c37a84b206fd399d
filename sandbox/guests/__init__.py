"""What runs inside a sandbox, and how it is built."""
