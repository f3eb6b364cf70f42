"""What people see: tables and bars for the terminal, one page for the browser."""
