"""File formats that trainers read: exactly their columns, nothing else."""
