"""How a job runs: plans, stages, the cache, executors, the ledger. Imports no concrete step."""
