"""The HTTP edge: requests in, problem details out. Decides nothing of what is bookable."""
