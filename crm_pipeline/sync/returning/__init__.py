"""How does what people change in a CRM get into QBench?"""
