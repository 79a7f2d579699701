"""Stand-ins for QBench, Salesforce and HubSpot over HTTP, and the demo that runs on them."""
