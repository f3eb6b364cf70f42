"""Where the sandbox keeps records: compressed, with changes on top."""
