"""Stand-ins for QBench, Salesforce, HubSpot and SugarCRM over HTTP, and the demo that runs on the first three."""
