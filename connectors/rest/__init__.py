"""Systems that are asked over HTTP and answer with JSON."""
