"""A definition tried before it goes live: on the history, against today's, fitted anew."""
