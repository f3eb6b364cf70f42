"""Write to a CRM: batches, their states, rejected values, confirmed outcomes."""
