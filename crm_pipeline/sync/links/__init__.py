"""The links between QBench and CRM records: which account links can be used, and what merges and deletions made of them."""
