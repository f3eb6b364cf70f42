"""Read from a CRM: incremental resources, Arrow tables, schema drift, row checks."""
