"""What isn't right with an installation, found by looking: findings, each with its next step. Prints nothing."""
