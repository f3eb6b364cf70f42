"""The YAML files in `mappings/`: their models, how they are read, and how they are checked."""
