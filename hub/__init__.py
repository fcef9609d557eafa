"""The machine: it moves batches, and knows no connector, transform or route."""
