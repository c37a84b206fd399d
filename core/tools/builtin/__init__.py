"""An open folder: the manifests of the tools that ship, one JSON file a tool, named after it."""
