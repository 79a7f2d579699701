"""What is to be done to each record in one CRM? Everything about it is decided here; nothing changes a plan afterwards."""
