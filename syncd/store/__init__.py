"""The store: models, migrations and every query. What is true between two runs is here and nowhere else."""
