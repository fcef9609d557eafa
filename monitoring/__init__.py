"""How people and machines see the hub: console, metrics, health and logs."""
