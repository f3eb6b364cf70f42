"""Write a stored plan into the CRMs, within the guard's limits and the API budget."""
