"""The map: which leg moves what from where to where. Routes know connectors, transforms and the machine; nothing but the command line knows them."""
