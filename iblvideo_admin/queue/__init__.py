"""Jobs, their states, the ledger, the worker and the leases."""
