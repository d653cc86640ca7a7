"""The guarded way out: every outside URL (webhook or media) is fetched here and nowhere else."""
