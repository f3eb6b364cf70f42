"""The warehouse: landed tables, the tables of the answer, and the journal of runs."""
