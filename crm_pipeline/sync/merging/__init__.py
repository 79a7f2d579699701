"""What is to be done where QBench and a CRM differ in a field that both may change? Pure: digests and times in, decisions out."""
