"""What we owe the world: written in the transaction that caused it, delivered until it is true."""
