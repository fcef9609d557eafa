"""The world calling us: agencies submit batches, poll receipts, and say that there is nothing to report."""
