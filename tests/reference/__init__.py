"""The pages of `docs/reference`, made from the code: `make docs` writes them, a test holds them to it."""
